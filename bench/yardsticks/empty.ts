/** Fastify as it comes: a JSON POST route that does nothing, and one that answers when its client leaves. */
import Fastify from 'fastify'

const app = Fastify()

app.post('/receivers/:id/poll', async () => ({ sets: {} }))

app.post('/receivers/:id/hold', async (_request, reply) => {
  await new Promise(resolve => reply.raw.once('close', resolve))
})

await app.listen({ port: Number(process.env.PORT) })
