"""Scripts that complete the options in a shell, made from `options.OPTIONS`.

source <(rawchat --completion bash)             in ~/.bashrc
source <(rawchat --completion zsh)              in ~/.zshrc, after compinit
rawchat --completion fish | source              in ~/.config/fish/config.fish
"""

from .options import Option, all_options

BASH = """\
# completion of rawchat for bash: source <(rawchat --completion bash)
_rawchat() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} IFS=$' \\t\\n'
    COMPREPLY=()
    if [[ $word == = ]]; then               # bash takes --option=value for three words
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
_rawchat_marked() {{                         # @FILE is the text of a file
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
    """The script for bash, zsh or fish."""
    return {"bash": bash, "zsh": zsh, "fish": fish}[shell]()


def bash() -> str:
    """For bash 3.2 and newer."""
    chosen = [
        f'        {patterns([option])}) COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$word")); '
        "return ;;"
        for option in all_options()
        if option.choices
    ]
    valued = [option for option in all_options() if option.metavar and not option.choices]
    return BASH.format(
        choices="\n".join(chosen),
        files=patterns([option for option in valued if option.files]),
        others=patterns([option for option in valued if not option.files]),
        flags=" ".join(option.flags for option in all_options()),
    )


def patterns(options: list[Option]) -> str:
    """Their flags, before a blank and before =, as a pattern of `case`."""
    return "|".join(
        spelled
        for option in options
        for flag in option.flags.split()
        for spelled in (flag, f"{flag}=")
        if not (option.attached and spelled == flag)
    )


def zsh() -> str:
    """For zsh, as `_arguments` takes it: '(-m --model)'{-m,--model=}'[help]:NAME: '."""
    return ZSH.format(options="\n".join(f"        {_zsh(option)} \\" for option in all_options()))


def _zsh(option: Option) -> str:
    flags = option.flags.split()
    action = (
        f"({' '.join(option.choices)})" if option.choices else "_files" if option.files else " "
    )
    names = option.metavar.strip("[]").split()
    values = "".join(f"{'::' if option.attached else ':'}{name}:{action}" for name in names)
    text = quoted(f"[{brief(option).translate({ord(c): chr(92) + c for c in '[]:'})}]{values}")
    spelled = [
        f"{flag}=" if values and flag.startswith("--") and " " not in option.metavar else flag
        for flag in flags
    ]
    if option.attached:
        spelled = [f"{flag}-" for flag in spelled]
    once = "'*'" if option.many else f"'({option.flags})'"
    return once + (f"{{{','.join(spelled)}}}" if len(spelled) > 1 else spelled[0]) + text


def fish() -> str:
    """For fish 3."""
    return FISH.format(options="\n".join(map(_fish, all_options())))


def _fish(option: Option) -> str:
    words = ["complete -c rawchat"]
    words += [
        f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
        for flag in option.flags.split()
    ]
    if option.attached:
        words.append("-F")
    elif option.metavar:
        words.append(
            f"-xa '{' '.join(option.choices)}'"
            if option.choices
            else "-rF"
            if option.files
            else "-x"
        )
    text = brief(option).replace("\\", "\\\\").replace("'", "\\'")
    return " ".join([*words, f"-d '{text}'"])


def brief(option: Option) -> str:
    """The help of an option in one line."""
    return " ".join(option.help.split())


def quoted(text: str) -> str:
    """`text` in single quotes, for zsh."""
    return "'" + text.replace("'", "'\\''") + "'"
