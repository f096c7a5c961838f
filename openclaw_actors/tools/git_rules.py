"""Decides which git commands a model may give: subcommands and options by allow-list, nothing outside the repository.

Git runs programs in many ways, and takes any unique beginning of a long option for the option. So only what is named
here passes: no option that runs a program, writes or reads a file elsewhere, or reaches another repository.
"""

from __future__ import annotations

__all__ = [
    "NEEDS_PUSH",
    "SUBCOMMANDS",
    "TAKES_REMOTE",
    "GitRefused",
    "check",
    "check_configuration",
    "check_todo",
]

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

NEEDS_PUSH = frozenset(("push", "pull", "reset"))
"""Allowed only with `plugins.native.git_tools.allow_push`."""

TAKES_REMOTE = frozenset(("fetch", "pull", "push"))
"""Their first argument that is no option is a remote."""
_STASH_ACTIONS = frozenset(("push", "save", "list", "show", "pop", "apply", "drop", "clear", "branch"))
_STRATEGIES = frozenset(("ort", "recursive", "resolve", "octopus", "ours", "subtree"))


class GitRefused(Exception):
    """Raised for a command that is not allowed; its text says what is."""


@dataclass(frozen=True, slots=True)
class _Rule:
    long: frozenset[str]
    """Names of long options, without dashes."""
    short: str = ""
    """Letters of short options that take no value."""
    short_value: str = ""
    """Letters of short options whose value follows at once, or stands in the next argument."""
    message: bool = False
    """`-m` and `--message` take any text."""
    number: bool = False
    """`-20` is an option."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _names("quiet verbose progress no-progress")
_DIFF = _names(
    "abbrev binary check color compact-summary diff-algorithm diff-filter dirstat exit-code find-copies find-renames "
    "full-index function-context histogram ignore-all-space ignore-blank-lines ignore-cr-at-eol ignore-space-at-eol "
    "ignore-space-change inter-hunk-context minimal name-only name-status no-color no-ext-diff no-patch no-prefix "
    "no-renames no-textconv numstat patch patience pickaxe-all pickaxe-regex quiet raw relative shortstat stat summary "
    "text unified word-diff"
)
_DIFF_SHORT, _DIFF_VALUE = "pusRabwWz", "UMCDBSGl"
_LOG = _DIFF | _names(
    "abbrev-commit after all all-match ancestry-path author author-date-order basic-regexp before boundary branches "
    "cherry cherry-mark cherry-pick children committer cc date date-order decorate decorate-refs encoding exclude "
    "extended-regexp first-parent fixed-strings follow format full-history glob graph grep invert-grep left-only "
    "left-right max-count max-parents merges min-parents no-abbrev-commit no-decorate no-merges no-notes no-walk not "
    "notes oneline parents perl-regexp pretty regexp-ignore-case relative-date remotes reverse right-only show-pulls "
    "simplify-by-decoration simplify-merges since skip source sparse tags topo-order until walk-reflogs"
)
_LOG_SHORT, _LOG_VALUE = _DIFF_SHORT + "iEFPcmgt", _DIFF_VALUE + "nL"
_STRATEGY = _names("strategy strategy-option")
_SEQUENCE = _names("abort continue skip quit")

_RULES = MappingProxyType(
    {
        "status": _Rule(
            _COMMON
            | _names(
                "ahead-behind branch column find-renames ignored long no-ahead-behind no-column no-renames"
            )
            | _names("porcelain renames short show-stash untracked-files"),
            "sbvz",
            "u",
        ),
        "diff": _Rule(
            _DIFF | _names("cached staged merge-base base ours theirs cc"), _DIFF_SHORT + "c", _DIFF_VALUE
        ),
        "log": _Rule(_LOG, _LOG_SHORT, _LOG_VALUE, number=True),
        "show": _Rule(_LOG, _LOG_SHORT, _LOG_VALUE, number=True),
        "add": _Rule(
            _COMMON
            | _names("all chmod dry-run force ignore-errors intent-to-add no-all refresh renormalize update"),
            "AufnNv",
        ),
        "commit": _Rule(
            _COMMON
            | _names(
                "all allow-empty allow-empty-message amend author branch cleanup date dry-run fixup include long"
            )
            | _names(
                "no-edit no-gpg-sign no-signoff no-status no-verify only porcelain reset-author reuse-message"
            )
            | _names("short signoff squash status trailer untracked-files"),
            "aqvnsoi",
            "C",
            message=True,
        ),
        "branch": _Rule(
            _COMMON
            | _names(
                "abbrev all color column contains copy create-reflog delete force format ignore-case list merged"
            )
            | _names("move no-abbrev no-color no-column no-contains no-merged no-track points-at remotes")
            | _names("set-upstream-to show-current sort track unset-upstream"),
            "arvdDmMcCflqi",
            "tu",
        ),
        "checkout": _Rule(
            _COMMON
            | _names(
                "conflict detach force guess ignore-skip-worktree-bits merge no-guess no-overlay no-track orphan"
            )
            | _names("ours overlay theirs track"),
            "fqdlm",
            "bBt",
        ),
        "stash": _Rule(
            _DIFF
            | _COMMON
            | _names("all include-untracked index keep-index max-count no-keep-index oneline staged"),
            "pukqaSz",
            "n",
            message=True,
            number=True,
        ),
        "fetch": _Rule(
            _COMMON
            | _names(
                "all append atomic deepen depth dry-run force ipv4 ipv6 no-tags prune prune-tags shallow-exclude"
            )
            | _names("shallow-since tags unshallow update-shallow"),
            "apPtnfvq46",
        ),
        "merge": _Rule(
            _COMMON
            | _STRATEGY
            | _SEQUENCE
            | _names(
                "allow-unrelated-histories autostash commit ff ff-only log no-autostash no-commit no-edit no-ff"
            )
            | _names("no-log no-signoff no-squash no-stat no-verify signoff squash stat"),
            "nqv",
            message=True,
        ),
        "rebase": _Rule(
            _COMMON
            | _STRATEGY
            | _SEQUENCE
            | _names(
                "apply autosquash autostash committer-date-is-author-date empty force-rebase fork-point ignore-date"
            )
            | _names(
                "keep-base keep-empty merge no-autosquash no-autostash no-ff no-fork-point no-keep-empty"
            )
            | _names("no-reapply-cherry-picks no-rebase-merges no-stat no-update-refs no-verify onto")
            | _names(
                "reapply-cherry-picks rebase-merges reset-author-date root show-current-patch signoff stat"
            )
            | _names("update-refs"),
            "qvnfmr",
        ),
        "cherry-pick": _Rule(
            _STRATEGY
            | _SEQUENCE
            | _names(
                "allow-empty allow-empty-message cleanup ff keep-redundant-commits mainline no-commit signoff"
            ),
            "xns",
            "m",
        ),
        "tag": _Rule(
            _names(
                "annotate cleanup color column contains create-reflog delete force format ignore-case list merged"
            )
            | _names("no-column no-contains no-merged no-sign points-at sort"),
            "adfli",
            "n",
            message=True,
        ),
        "push": _Rule(
            _COMMON
            | _names(
                "all atomic branches delete dry-run follow-tags force force-if-includes force-with-lease ipv4 ipv6"
            )
            | _names("mirror no-follow-tags no-force-with-lease no-verify porcelain prune set-upstream tags"),
            "ufdnvq46",
        ),
        "pull": _Rule(
            _COMMON
            | _STRATEGY
            | _names(
                "all allow-unrelated-histories autostash commit depth ff ff-only force ipv4 ipv6 no-autostash"
            )
            | _names(
                "no-commit no-edit no-ff no-rebase no-squash no-stat no-tags prune rebase signoff squash stat tags"
            ),
            "rqvptn46",
        ),
        "reset": _Rule(_COMMON | _names("hard intent-to-add keep merge mixed no-refresh refresh soft"), "qN"),
    }
)

SUBCOMMANDS = tuple(_RULES)


def check(subcommand: str, arguments: Sequence[str], remotes: Iterable[str] = ()) -> None:
    """Check the arguments of a subcommand.

    Args:
        subcommand: one of `SUBCOMMANDS`.
        arguments: what follows it, as git will get it.
        remotes: names of the remotes that the repository has.

    Raises:
        GitRefused: they are not allowed.
    """
    rule = _RULES[subcommand]
    plain: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            paths = list(rest)
            for path in paths:
                _check_plain(path)
            break
        if argument.startswith("--"):
            _check_long(subcommand, rule, argument, rest)
        elif argument.startswith("-") and argument != "-":
            _check_short(subcommand, rule, argument, rest)
        else:
            _check_plain(argument)
            plain.append(argument)
    if subcommand in TAKES_REMOTE and plain and plain[0] not in set(remotes):
        known = ", ".join(sorted(remotes)) or "there is none"
        raise GitRefused(f"{plain[0]!r} is not the name of a remote of this repository ({known})")
    if subcommand == "stash" and plain and plain[0] not in _STASH_ACTIONS:
        raise GitRefused(
            f"stash {plain[0]!r} is not allowed; allowed are {', '.join(sorted(_STASH_ACTIONS))}"
        )


def _check_long(subcommand: str, rule: _Rule, argument: str, rest: Iterable[str]) -> None:
    name, has_value, value = argument[2:].partition("=")
    if name == "message" and rule.message:
        if not has_value:
            _check_message(rest)
        return
    if name not in rule.long:
        options = ", ".join(
            f"--{each}" for each in sorted(rule.long | ({"message"} if rule.message else set()))
        )
        raise GitRefused(f"the option --{name} of git {subcommand} is not allowed; allowed are {options}")
    if name == "strategy" and value not in _STRATEGIES:
        known = ", ".join(sorted(_STRATEGIES))
        raise GitRefused(f"the option --strategy must be written --strategy=NAME with one of {known}")
    if "\0" in value:
        raise GitRefused("an argument holds a NUL")


def _check_short(subcommand: str, rule: _Rule, argument: str, rest: Iterable[str]) -> None:
    if rule.number and re.fullmatch(r"-\d{1,9}", argument):
        return
    for at, letter in enumerate(argument[1:], start=1):
        if letter == "m" and rule.message:
            if at == len(argument) - 1:
                _check_message(rest)
            return
        if letter in rule.short_value:
            return  # the rest is its value; one in the next argument is checked like any other
        if letter not in rule.short:
            letters = ", ".join(f"-{each}" for each in rule.short + rule.short_value + "m" * rule.message)
            raise GitRefused(
                f"the option -{letter} of git {subcommand} is not allowed; allowed are {letters}"
            )


def _check_message(rest: Iterable[str]) -> None:
    text = next(iter(rest), "")
    if text.startswith("-"):
        # `git stash show -m` takes no value: what follows would be an option.
        raise GitRefused("a message that begins with - must be written --message=TEXT")


def _check_plain(argument: str) -> None:
    if argument.startswith("/") or ".." in argument.split("/"):
        raise GitRefused(f"{argument!r} leaves the repository: paths must be relative and below it")
    if "\0" in argument:
        raise GitRefused("an argument holds a NUL")
    if "::" in argument or "://" in argument:
        raise GitRefused(
            f"{argument!r} names another repository; only configured remotes are allowed, by name"
        )


_KEYS = re.compile(
    r"""
    (advice|apply|blame|color|column|feature|gui|i18n|index|init|log|maintenance|pack|pull|push|rebase|rerere|stash
      |status|versionsort|extensions)\.[a-z0-9]+
    | fetch\.(?!bundleuri$)[a-z]+
    | gc\.(?!recentobjectshook$)[a-z]+ | gc\..*\.[a-z]+ | maintenance\..*\.[a-z]+
    | color\.[a-z]+\.[a-z]+
    | branch\..*\.(base|description|gh-merge-base|github-pr-owner-number|merge|pushremote|rebase|remote
      |vscode-merge-base)
    | remote\..*\.(fetch|gh-resolved|mirror|partialclonefilter|promisor|prune|prunetags|push|pushurl|skipdefaultupdate
      |skipfetchall|tagopt|url)
    | remote\.pushdefault
    | user\.(name|email|useconfigonly|signingkey) | (author|committer)\.(name|email)
    | core\.(abbrev|autocrlf|bare|bigfilethreshold|checkstat|commentchar|compression|eol|filemode|fscache|fsmonitor
      |hookspath|ignorecase|ignorestat|logallrefupdates|longpaths|loosecompression|multipackindex|precomposeunicode
      |preloadindex|protecthfs|protectntfs|quotepath|repositoryformatversion|safecrlf|sharedrepository|sparsecheckout
      |sparsecheckoutcone|splitindex|symlinks|trustctime|untrackedcache|usereplacerefs|warnambiguousrefs|whitespace)
    | commit\.(cleanup|status|verbose|gpgsign) | tag\.(sort|gpgsign|forcesignannotated) | gpg\.(format|program)
    | merge\.[a-z]+ | diff\.(?!external$|orderfile$)[a-z]+
    | diff\..*\.(algorithm|binary|funcname|wordregex|xfuncname)
    | submodule\..*\.(active|branch|url) | submodule\.active
    | lfs\.repositoryformatversion | lfs\..*\.access
    """,
    re.VERBOSE | re.DOTALL,
)
"""Keys of a repository's own configuration that name no program, file or place, or that the command line beats. What
the user and the system configure is their own business."""


def check_configuration(listing: bytes) -> None:
    """Check what `git config --list --show-scope --name-only -z` printed: a repository may come from anybody.

    Raises:
        GitRefused: the repository's configuration could make git run a program.
    """
    parts = listing.decode(errors="replace").split("\0")
    for scope, key in zip(parts[::2], parts[1::2], strict=False):
        if scope in ("local", "worktree") and not _KEYS.fullmatch(key):
            raise GitRefused(
                f"the repository's own configuration sets {key}, which can make git run programs or leave the "
                "repository; a person may move it to the user's configuration"
            )


def check_todo(text: str) -> None:
    """Check the list of what a rebase that was interrupted still does.

    Raises:
        GitRefused: it runs a program.
    """
    for line in text.splitlines():
        if re.match(r"\s*(x|exec)(\s|$)", line):
            raise GitRefused("the rebase that was interrupted would run a program; a person must end it")
