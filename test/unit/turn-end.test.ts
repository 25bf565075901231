import { expect, it } from 'vitest'
import { atTurnsEnd } from '../../src/turn-end.ts'

/** What happened, in order, in four turns. */
async function happening(begin: (note: (what: string) => void) => void): Promise<string[]> {
  const notes: string[] = []
  begin(what => notes.push(what))
  for (let turn = 0; turn < 4; turn++) await new Promise(resolve => setImmediate(resolve))
  return notes
}

it('comes behind what the turn still does', async () => {
  const notes = await happening(note => {
    atTurnsEnd(() => note('end'))
    process.nextTick(() => note('tick'))
    void Promise.resolve().then(() => note('promise'))
  })
  expect(notes.toSorted()).toEqual(['end', 'promise', 'tick'])
  expect(notes.at(-1)).toBe('end')
})

it('takes in what is put off meanwhile, behind all promises that settled, and before another turn', async () => {
  const notes = await happening(note => {
    atTurnsEnd(() => {
      void Promise.resolve()
        .then(() => atTurnsEnd(() => note('put off')))
        .then(() => note('one promise'))
        .then(() => note('and another'))
    })
    setImmediate(() => note('next'))
  })
  expect(notes).toEqual(['one promise', 'and another', 'put off', 'next'])
})

it('takes in what is put off at once behind promises that are settled later', async () => {
  const notes = await happening(note => {
    atTurnsEnd(() => {
      const settled = Promise.withResolvers<void>()
      atTurnsEnd(() => {
        note('put off')
        atTurnsEnd(() => note('and from that'))
        void Promise.resolve().then(() => atTurnsEnd(() => note('and by a promise of that')))
      })
      void settled.promise.then(() => note('promise')).then(() => atTurnsEnd(() => note('put off by a promise')))
      settled.resolve()
    })
    setImmediate(() => note('next'))
  })
  expect(notes).toEqual([
    'promise',
    'put off',
    'put off by a promise',
    'and from that',
    'and by a promise of that',
    'next',
  ])
})

it('takes in what is put off from that, too, and then no more before another turn', async () => {
  const notes = await happening(note => {
    const again = (left: number) => {
      note(String(left))
      if (left > 0) atTurnsEnd(() => again(left - 1))
    }
    atTurnsEnd(() => again(3))
    setImmediate(() => note('next'))
  })
  expect(notes).toEqual(['3', '2', '1', 'next', '0'])
})

it('is another one for what is put off later', async () => {
  const notes = await happening(note => {
    atTurnsEnd(() => note('first'))
    setImmediate(() => {
      atTurnsEnd(() => note('second'))
      process.nextTick(() => note('tick'))
    })
  })
  expect(notes).toEqual(['first', 'tick', 'second'])
})

it('ends for others when one fails', async () => {
  const failed = new Promise(resolve => process.once('uncaughtExceptionMonitor', resolve))
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException').once('uncaughtException', () => {})
  try {
    const notes = await happening(note => {
      atTurnsEnd(() => {
        throw new Error('wrong')
      })
      atTurnsEnd(() => note('other'))
    })
    expect(await failed).toMatchObject({ message: 'wrong' })
    expect(notes).toEqual(['other'])
  } finally {
    for (const listener of listeners) process.on('uncaughtException', listener)
  }
})
