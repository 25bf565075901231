# The base by argument, because where no registry can be counted on it is a local one (test/containers/base-images.sh).
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No install scripts: the base has the Node.js that the package `node` would fetch, and nothing else needs one to build.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY workers workers
RUN npm run build

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
# A volume that is mounted here takes over the owner. Code and dependencies stay root's: the process cannot change them.
RUN install -d -m 700 -o node -g node /keys
ENV KEYS_DIR=/keys
USER node
# Every role opens the operations listener.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.OPS_LISTEN ?? ':9464').split(':').pop() + '/livez').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Exec form: SIGTERM reaches the process itself. The flag: docs/operate.md, Sizing.
ENTRYPOINT ["node", "--max-semi-space-size=16", "dist/src/cli.js"]
CMD ["serve"]
