"""Make the scripts that complete options in a shell.

source <(rawchat --completion bash)             in ~/.bashrc
source <(rawchat --completion zsh)              in ~/.zshrc, after compinit
rawchat --completion fish | source              in ~/.config/fish/config.fish
"""

import re

from .options import Option, all_options

BASH = """\
# completion of rawchat for bash: source <(rawchat --completion bash)
_rawchat() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} IFS=$' \\t\\n'
    COMPREPLY=()
    if [[ $word == = ]]; then               # bash splits --option=value into three words
        word=
    elif [[ $before == = ]]; then
        before=${{COMP_WORDS[COMP_CWORD-2]}}=
    fi
    case $before in
{choices}
        {files}) _rawchat_files "$word" ""; return ;;
        {others}) _rawchat_marked; return ;;
    esac
    case $word in
        -*) COMPREPLY=($(compgen -W "{flags}" -- "$word")) ;;
        *) _rawchat_marked ;;
    esac
}}
_rawchat_marked() {{                         # @FILE stands for the text of a file
    [[ $word != @* ]] || _rawchat_files "${{word#@}}" @
}}
_rawchat_files() {{
    local IFS=$'\\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -P "$2" -- "$1"))
}}
complete -F _rawchat rawchat
"""


ZSH = """\
#compdef rawchat
# completion of rawchat for zsh: source <(rawchat --completion zsh), or as a file _rawchat in $fpath
_rawchat() {{
    _arguments -s -S \\
{options}
        '*:prompt: '
}}
if [[ ${{zsh_eval_context[-1]}} == loadautofunc ]]; then
    _rawchat "$@"
else
    compdef _rawchat rawchat
fi
"""


FISH = """\
# completion of rawchat for fish: rawchat --completion fish | source
complete -c rawchat -f
{options}
"""


def completion_script(shell: str) -> str:
    """Return the script for "bash", "zsh" or "fish"."""
    scripts = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}
    return scripts[shell]()


def help_line(option: Option) -> str:
    """Return the help of an option in one line."""
    return " ".join(option.help.split())


# ---- bash, 3.2 and newer


def bash_script() -> str:
    """Return the script for bash."""
    choices: list[str] = []
    with_file: list[Option] = []
    with_value: list[Option] = []
    for option in all_options():
        if option.choices:
            words = " ".join(option.choices)
            reply = f'COMPREPLY=($(compgen -W "{words}" -- "$word"))'
            choices.append(f"        {case_pattern([option])}) {reply}; return ;;")
        elif option.takes_file:
            with_file.append(option)
        elif option.metavars:
            with_value.append(option)
    return BASH.format(
        choices="\n".join(choices),
        files=case_pattern(with_file),
        others=case_pattern(with_value),
        flags=" ".join(flag for option in all_options() for flag in option.flags),
    )


def case_pattern(options: list[Option]) -> str:
    """Return the pattern of `case` that matches the flags of options, before a blank and before =."""
    spellings: list[str] = []
    for option in options:
        for flag in option.flags:
            spellings += [flag, f"{flag}="]
    return "|".join(spellings)


# ---- zsh


def zsh_script() -> str:
    """Return the script for zsh."""
    lines = [f"        {zsh_spec(option)} \\" for option in all_options()]
    return ZSH.format(options="\n".join(lines))


def zsh_spec(option: Option) -> str:
    """Return an option as `_arguments` takes it: '(-m --model)'{-m,--model=}'[help]:NAME: '."""
    action = " "
    if option.choices:
        action = f"({' '.join(option.choices)})"
    elif option.takes_file:
        action = "_files"
    values = "".join(f":{name}:{action}" for name in option.metavars)
    help = re.sub(r"([\[\]:])", r"\\\1", help_line(option))

    spellings = list(option.flags)
    if len(option.metavars) == 1 and option.flag.startswith("--"):
        spellings[-1] += "="  # --model=NAME is as good as --model NAME
    flags = spellings[0]
    if len(spellings) > 1:
        flags = f"{{{','.join(spellings)}}}"

    repetition = f"'({' '.join(option.flags)})'"  # given once, none of them is offered again
    if option.repeatable:
        repetition = "'*'"
    return repetition + flags + zsh_quote(f"[{help}]{values}")


def zsh_quote(text: str) -> str:
    """Return `text` in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


# ---- fish 3


def fish_script() -> str:
    """Return the script for fish."""
    return FISH.format(options="\n".join(fish_line(option) for option in all_options()))


def fish_line(option: Option) -> str:
    """Return the `complete` command of an option."""
    words = ["complete -c rawchat"]
    for flag in option.flags:
        if flag.startswith("--"):
            words.append(f"-l {flag[2:]}")
        else:
            words.append(f"-s {flag[1:]}")
    if option.choices:
        words.append(f"-xa '{' '.join(option.choices)}'")
    elif option.takes_file:
        words.append("-rF")
    elif option.metavars:
        words.append("-x")
    help = help_line(option).replace("\\", "\\\\").replace("'", "\\'")
    words.append(f"-d '{help}'")
    return " ".join(words)
