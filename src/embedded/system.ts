/** Which system this is, and how one installs a Redis server on it. */
import { readFile } from 'node:fs/promises'

export interface System {
  /** Names the builds that run here, such as `debian-12-x64`. */
  readonly name: string
  /** What to do about a missing server, to stand after "To get one, ". */
  readonly advice: string
}

const ADVICE: readonly (readonly [id: string, advice: string])[] = [
  ['darwin', 'run `brew install redis`'],
  ['win32', 'start this in WSL, as Redis does not run on Windows'],
  ['debian', 'run `sudo apt-get install redis-server`'],
  ['ubuntu', 'run `sudo apt-get install redis-server`'],
  ['fedora', 'run `sudo dnf install valkey`'],
  ['rhel', 'run `sudo dnf install valkey`'],
  ['alpine', 'run `apk add redis`'],
  ['arch', 'run `sudo pacman -S valkey`'],
  ['suse', 'run `sudo zypper install redis`'],
  ['freebsd', 'run `pkg install redis`'],
]

export async function thisSystem(
  platform: string = process.platform,
  osRelease: string = '/etc/os-release',
): Promise<System> {
  const release = platform === 'linux' ? await readFile(osRelease, 'utf8').catch(() => '') : ''
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(release)?.[1] ?? ''
  const id = field('ID') || platform
  // A derivative names what it derives from, nearest first.
  const kin = [id, ...field('ID_LIKE').split(' ')]
  const advice = kin.flatMap(name => ADVICE.find(([known]) => known === name)?.[1] ?? [])[0]
  return {
    name: [id, field('VERSION_ID') || field('VERSION_CODENAME'), process.arch].filter(Boolean).join('-'),
    advice: advice ?? 'install Redis 7 or Valkey',
  }
}
