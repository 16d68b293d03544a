import { InputError } from "../lib/errors.ts";
import type { OptionSpecs } from "./arguments.ts";
import { bgpOptions } from "./bgp-command.ts";
import { bgpQueries } from "./bgp-queries.ts";
import { checkPathsVerb } from "./check-paths.ts";
import { nodeDrainVerb } from "./node-drain.ts";
import type { Verb } from "./verb.ts";
import { viewWords } from "./views.ts";

/** Verbs whose first word is a kind. */
const kindVerbs = ["get", "delete", "patch", "label"];

/** The verb that prints a completion script for `verbs`. */
export function completionVerb(verbs: () => Readonly<Record<string, Verb>>): Verb {
  return {
    summary: "print a script that completes commands in the shell",
    usage: ["bash"],
    examples: ['eval "$(tortie completion bash)"'],
    options: {},
    run: async (args, { io }) => {
      const [shell] = args.words;
      if (shell !== "bash") {
        throw new InputError(`Cannot complete in "${shell ?? ""}": it must be bash`);
      }
      io.stdout.write(bashScript(verbs()));
      return 0;
    },
  };
}

function bashScript(verbs: Readonly<Record<string, Verb>>): string {
  const cases = Object.entries(verbs).map(([verb, { options, subcommands = [] }]) => {
    const [first = [], second = []] = subcommands;
    const kinds = kindVerbs.includes(verb) ? viewWords() : first;
    return `    ${verb}) options="${optionWords(options)}"; kinds="${kinds.join(" ")}"; seconds="${second.join(" ")}" ;;`;
  });
  const questions = Object.values(bgpQueries).map(({ options }) => options ?? {});
  const daemonOptions = { config: { help: "FILE" }, check: { help: "only check" } };
  const ofBgp = optionWords(Object.assign({}, ...questions, bgpOptions, daemonOptions));
  const ofNode = optionWords({
    ...checkPathsVerb.options,
    ...nodeDrainVerb.options,
  });
  cases.push(
    `    bgp) options="${ofBgp}"; kinds="${Object.keys(bgpQueries).join(" ")}" ;;`,
    `    node) options="${ofNode}"; kinds="status health shutdown drain check-paths cleanup" ;;`,
    `    controllers) options="--live --ready"; kinds="status" ;;`,
    `    takeover) options="--output"; kinds="check" ;;`,
  );
  return `_tortie() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local options="" kinds="" seconds=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${Object.keys(verbs).join(" ")} node felix bgp controllers takeover lab demo version help" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    *) return ;;
  esac
  case "$previous" in
    -f|--filename|-c|--config) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -o|--output) COMPREPLY=($(compgen -W "ps wide yaml json custom-columns=" -- "$word")); return ;;
    -t|--type) COMPREPLY=($(compgen -W "strategic merge json" -- "$word")); return ;;
  esac
  if [ "\${word#-}" != "$word" ]; then
    COMPREPLY=($(compgen -W "$options --help" -- "$word"))
  elif [ "$COMP_CWORD" -eq 2 ]; then
    COMPREPLY=($(compgen -W "$kinds" -- "$word"))
  elif [ "$COMP_CWORD" -eq 3 ]; then
    COMPREPLY=($(compgen -W "$seconds" -- "$word"))
  fi
}
complete -o filenames -F _tortie tortie calicoctl
`;
}

function optionWords(options: OptionSpecs): string {
  return Object.entries(options)
    .filter(([, { help }]) => help !== undefined)
    .map(([name]) => `--${name}`)
    .join(" ");
}
