/**
 * The manifests against the schemas of Kubernetes and KEDA, and against each other. The schemas let unknown members pass,
 * which a cluster would drop without a word; the compiler finds those by the types that go with the schemas.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { Settings } from '../../src/config.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = join(root, 'ops/kubernetes')
const require = createRequire(import.meta.url)

// biome-ignore lint/suspicious/noExplicitAny: a manifest is what its schema says, which is what is tested.
type Manifest = Record<string, any>

interface Model {
  new (data: object): { validate(): void }
}

const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.yaml'))
const documents = files.flatMap(file => {
  const text = readFileSync(join(folder, file), 'utf8')
  return parseAllDocuments(text).map(document => {
    if (document.errors.length > 0) throw new Error(`${file}: ${document.errors[0]?.message}`)
    return { file, manifest: document.toJS() as Manifest }
  })
})
const resources = documents.filter(({ manifest }) => manifest.kind !== 'Kustomization')
const of = (kind: string) => resources.flatMap(({ manifest }) => (manifest.kind === kind ? [manifest] : []))
const named = (kind: string, name: string) => of(kind).find(({ metadata }) => metadata.name === name) as Manifest
const deployments = of('Deployment')
const componentOf = (labels: Record<string, string>) => labels['app.kubernetes.io/component']

/** `apps/v1` and `Deployment` → the file that has the model. */
function modelPath({ apiVersion, kind }: Manifest): string {
  const library = apiVersion.startsWith('keda.sh/') ? '@kubernetes-models/keda' : 'kubernetes-models'
  return `${library}/${apiVersion}/${kind}`
}

describe('each manifest', () => {
  it.each(
    resources.map(({ file, manifest }) => [`${file}: ${manifest.kind} ${manifest.metadata.name}`, manifest] as const),
  )('%s is valid', (_name, manifest) => {
    const models = require(modelPath(manifest)) as Record<string, Model>
    const Model = models[manifest.kind] as Model
    expect(() => new Model(manifest).validate()).not.toThrow()
  })

  it('has no member that its kind does not know', () => {
    const directory = mkdtempSync(join(tmpdir(), 'setstream-test-'))
    try {
      const source = resources.map(({ file, manifest }, i) => {
        const from = join(root, 'node_modules', `${modelPath(manifest)}.js`)
        return [
          `// ${file}`,
          `import type { I${manifest.kind} as Kind${i} } from ${JSON.stringify(from)}`,
          `export const manifest${i}: Kind${i} = ${JSON.stringify(manifest)}`,
        ].join('\n')
      })
      const check = join(directory, 'manifests.mts')
      writeFileSync(check, source.join('\n'))
      const options = [
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        '--module',
        'nodenext',
        '--types',
        '',
        '--ignoreConfig',
      ]
      const { stdout } = spawnSync(process.execPath, [join(root, 'node_modules/.bin/tsc'), ...options, check], {
        encoding: 'utf8',
        cwd: directory,
      })
      expect(stdout.replaceAll(directory, '')).toBe('')
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

describe('the kustomization', () => {
  const { manifest } = documents.find(({ file }) => file === 'kustomization.yaml') as { manifest: Manifest }

  it('names every manifest beside it, and only those', () => {
    const beside = files.filter(name => !name.includes('/') && name !== 'kustomization.yaml')
    expect(manifest.resources.toSorted()).toEqual(beside.toSorted())
    for (const name of manifest.resources) expect(existsSync(join(folder, name)), name).toBe(true)
  })

  it('sets nothing that the transmitter does not read', () => {
    const literals = manifest.configMapGenerator.flatMap(({ literals }: { literals: string[] }) => literals)
    const set = literals.map((literal: string) => literal.split('=', 1)[0])
    const inPods = deployments.flatMap(({ spec }) =>
      spec.template.spec.containers[0].env.map(({ name }: Manifest) => name),
    )
    for (const name of [...set, ...inPods]) expect(Object.keys(Settings.properties), name).toContain(name)
  })
})

describe('the deployments', () => {
  it('are one a role, each with its pods, its probes and a budget, and none has more rights than it needs', () => {
    expect(deployments.map(({ metadata }) => metadata.name).toSorted()).toEqual([
      'setstream-internal',
      'setstream-public',
      'setstream-workers',
    ])
    for (const { metadata, spec } of deployments) {
      const role = metadata.name.replace('setstream-', '')
      const pod = spec.template.spec
      const [container] = pod.containers
      expect(container.args).toEqual(['serve', '--roles', role])
      expect(componentOf(spec.selector.matchLabels)).toBe(role)
      expect(componentOf(spec.template.metadata.labels)).toBe(role)
      const ports = container.ports.map(({ name }: Manifest) => name)
      for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
        expect(ports, `${role} ${probe}`).toContain(container[probe].httpGet.port)
      }
      expect(componentOf(named('PodDisruptionBudget', metadata.name).spec.selector.matchLabels)).toBe(role)
      expect(pod.securityContext.runAsNonRoot).toBe(true)
      for (const { securityContext } of [...pod.containers, ...(pod.initContainers ?? [])]) {
        expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true })
      }
    }
  })

  it('have time to end before they are killed', () => {
    const { manifest } = documents.find(({ file }) => file === 'kustomization.yaml') as { manifest: Manifest }
    const [{ literals }] = manifest.configMapGenerator
    const seconds = (name: string) =>
      Number(literals.find((literal: string) => literal.startsWith(`${name}=`)).split('=')[1]) / 1000
    for (const { spec } of deployments) {
      expect(spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(
        seconds('DRAIN_DELAY_MS') + seconds('SHUTDOWN_GRACE_MS'),
      )
    }
  })

  it('have private keys and the first credential in the internal role alone', () => {
    for (const { metadata, spec } of deployments) {
      const text = JSON.stringify(spec)
      const isInternal = metadata.name === 'setstream-internal'
      expect(text.includes('setstream-keys'), metadata.name).toBe(isInternal)
      expect(text.includes('ADMIN_TOKEN'), metadata.name).toBe(isInternal)
    }
  })

  it('are scaled and reached by names that exist', () => {
    for (const { spec } of of('HorizontalPodAutoscaler'))
      expect(named('Deployment', spec.scaleTargetRef.name)).toBeDefined()
    for (const { spec } of of('ScaledObject')) expect(named('Deployment', spec.scaleTargetRef.name)).toBeDefined()
    for (const { spec } of of('Service')) {
      const deployment = deployments.find(
        ({ spec: { selector } }) => componentOf(selector.matchLabels) === componentOf(spec.selector),
      ) as Manifest
      const ports = deployment.spec.template.spec.containers[0].ports.map(({ name }: Manifest) => name)
      for (const { targetPort } of spec.ports) expect(ports).toContain(targetPort)
    }
    for (const { spec } of of('Ingress')) {
      for (const { http } of spec.rules) {
        for (const { backend } of http.paths) {
          const ports = named('Service', backend.service.name).spec.ports.map(({ name }: Manifest) => name)
          expect(ports).toContain(backend.service.port.name)
        }
      }
    }
  })
})

describe('the network policies', () => {
  const policies = of('NetworkPolicy')
  const into = (component: string) =>
    policies.filter(
      ({ spec }) =>
        spec.ingress !== undefined && [undefined, component].includes(componentOf(spec.podSelector.matchLabels ?? {})),
    )

  it('refuse what no rule lets in or out', () => {
    const deny = named('NetworkPolicy', 'setstream-default-deny')
    expect(deny.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
  })

  it('let nobody who reaches the public listener reach the internal one', () => {
    const portsOf = (component: string) =>
      into(component).flatMap(({ spec }) =>
        spec.ingress.flatMap(({ ports }: Manifest) => ports.map(({ port }: Manifest) => port)),
      )
    expect(portsOf('public').toSorted()).toEqual(['ops', 'public'])
    expect(portsOf('internal').toSorted()).toEqual(['internal', 'ops'])
    expect(portsOf('workers')).toEqual(['ops'])
    const peers = (name: string) => JSON.stringify(named('NetworkPolicy', name).spec.ingress[0].from)
    expect(peers('setstream-public')).not.toBe(peers('setstream-internal'))
  })
})
