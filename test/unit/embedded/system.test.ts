import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { thisSystem } from '../../../src/embedded/system.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'setstream-system-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

async function linux(release: string) {
  const file = join(directory, 'os-release')
  await writeFile(file, release)
  return thisSystem('linux', file)
}

describe('the advice where no Redis server is found', () => {
  it.each([
    ['NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n', 'run `sudo apt-get install redis-server`'],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', 'run `sudo apt-get install redis-server`'],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n', 'run `sudo dnf install valkey`'],
    ['ID=fedora\nVERSION_ID=42\n', 'run `sudo dnf install valkey`'],
    ['ID=alpine\nVERSION_ID=3.22.0\n', 'run `apk add redis`'],
    ['ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', 'run `sudo zypper install redis`'],
    ['ID=unheard-of\n', 'install Redis 7 or Valkey'],
    ['', 'install Redis 7 or Valkey'],
  ])('fits the distribution: %j', async (release, advice) => {
    expect((await linux(release)).advice).toBe(advice)
  })

  it.each([
    ['darwin', 'run `brew install redis`'],
    ['freebsd', 'run `pkg install redis`'],
    ['win32', 'start this in WSL, as Redis does not run on Windows'],
  ])('fits %s', async (platform, advice) => {
    expect((await thisSystem(platform)).advice).toBe(advice)
  })
})

describe('the name of a system', () => {
  it('keeps apart what cannot run on one another', async () => {
    expect((await linux('ID=debian\nVERSION_ID="12"\n')).name).toBe(`debian-12-${process.arch}`)
    expect((await linux('ID=debian\nVERSION_CODENAME=forky\n')).name).toBe(`debian-forky-${process.arch}`)
  })
})
