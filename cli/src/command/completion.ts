import type { Command } from "commander";
import { MeshError } from "@fleetmesh/core";

export function addCompletion(program: Command): void {
  program
    .command("completion")
    .summary("print a completion script for your shell")
    .argument("<shell>", "bash, zsh or fish")
    .action((shell: string) => {
      process.stdout.write(scriptFor(shell, program));
    });
}

function scriptFor(shell: string, program: Command): string {
  const words = program.commands.map((command) => command.name()).join(" ");
  const groups = program.commands.filter((command) => command.commands.length > 0);
  const cases = groups
    .map(
      (group) => `    ${group.name()}) words="${group.commands.map((c) => c.name()).join(" ")}" ;;`,
    )
    .join("\n");
  const bash = `_mesh() {
  local words="${words}"
  [ "$COMP_CWORD" -gt 1 ] && words="" && case "\${COMP_WORDS[1]}" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _mesh mesh
`;
  switch (shell) {
    case "bash":
      return bash;
    case "zsh":
      return `autoload -U +X bashcompinit && bashcompinit\n${bash}`;
    case "fish":
      return program.commands
        .map(
          (c) =>
            `complete -c mesh -n __fish_use_subcommand -a ${c.name()} -d '${c.summary() || c.description()}'\n`,
        )
        .join("");
    default:
      throw new MeshError("USAGE", `There is no completion for "${shell}"`, {
        hint: "Use bash, zsh or fish.",
      });
  }
}
