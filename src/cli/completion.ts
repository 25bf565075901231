/**
 * Shell completion. The scripts ask `setstream __complete -- WORDS…`, so that they never fall behind the commands.
 */
import { Argument, type Command, type Option } from 'commander'
import type { Register } from './cli.ts'
import { print } from './output.ts'

const SCRIPTS = {
  bash: `_setstream() {
  local IFS=$'\\n'
  COMPREPLY=($(setstream __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
}
complete -F _setstream setstream`,
  zsh: `#compdef setstream
_setstream() {
  local -a candidates
  candidates=(\${(f)"$(setstream __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( \${#candidates} )); then compadd -- $candidates; else _files; fi
}
compdef _setstream setstream`,
  fish: `complete -c setstream -f -a '(setstream __complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'`,
} as const

export const registerCompletion: Register = (program, cli) => {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .action(async (shell: keyof typeof SCRIPTS) => print(cli.stdout, SCRIPTS[shell]))
    .addHelpText(
      'after',
      `
Examples:
  source <(setstream completion bash)
  source <(setstream completion zsh)
  setstream completion fish > ~/.config/fish/completions/setstream.fish`,
    )

  program.command('__complete [words...]', { hidden: true }).action(async (words: string[]) => {
    const found = candidates(program, words)
    if (found.length > 0) await print(cli.stdout, found.join('\n'))
  })
}

/** @param words what was typed after the program's name; the last is being completed. */
export function candidates(program: Command, words: readonly string[]): string[] {
  const typed = words.slice(0, -1)
  const current = words.at(-1) ?? ''
  let command = program
  let waitingFor: Option | undefined
  for (const word of typed) {
    if (waitingFor !== undefined) {
      waitingFor = undefined
      continue
    }
    const option = command.options.find(({ long, short }) => word === long || word === short)
    if (option !== undefined) {
      if (option.required) waitingFor = option
      continue
    }
    command = childOf(command, word) ?? command
  }
  if (waitingFor !== undefined) return matching(waitingFor.argChoices ?? [], current)
  if (current.startsWith('-')) {
    const flags = command.options.flatMap(option => (option.hidden ? [] : [option.long ?? option.short ?? '']))
    return matching([...flags, '--help'], current)
  }
  const choices = command.registeredArguments[0]?.argChoices ?? []
  const visible = command.createHelp().visibleCommands(command)
  return matching([...visible.map(child => child.name()), ...choices], current)
}

function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find(child => child.name() === word || child.aliases().includes(word))
}

function matching(values: readonly string[], start: string): string[] {
  return values.filter(value => value.startsWith(start)).sort()
}
