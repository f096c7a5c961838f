"""Which git commands a model may give."""

from __future__ import annotations

import pytest

from openclaw_actors.tools.git_rules import GitRefused, check, check_configuration, check_todo

ALLOWED = [
    "status -sb",
    "diff HEAD~2..HEAD --stat -- src/a.py",
    "diff --cached -U5 -M90%",
    "log --oneline -20 --graph --all --since=yesterday --author=me",
    "log -n 5 -p main..feature",
    "log -Sneedle --pickaxe-regex",
    "show HEAD:README.md",
    "show --name-only abc123",
    "add -A",
    "add -- -strange-name",
    "commit -m /starts/with/a/slash ../and/more",
    "commit -am x",
    "commit --message=--odd --amend --no-edit",
    "branch -d old",
    "branch --set-upstream-to=origin/main",
    "checkout -b new origin/main",
    "checkout -- file",
    "stash push -m note -u",
    "stash show -p",
    "fetch origin --prune +refs/heads/*:refs/remotes/origin/*",
    "fetch --all",
    "merge --no-ff -m text feature",
    "merge --strategy=ours x",
    "rebase --onto main a b",
    "rebase --continue",
    "cherry-pick -x abc",
    "tag -a v1 -m first",
    "push -u origin main",
    "pull --rebase origin",
    "reset --hard HEAD~1",
]

REFUSED = [
    "rebase --exec=x",
    "rebase --exe x",
    "rebase -x x",
    "rebase -ix",
    "rebase -i HEAD~2",
    "fetch --upload-pack=x origin",
    "fetch --upload-pac x origin",
    "fetch --upl=x origin",
    "fetch ext::sh -c x",
    "fetch /other/repo",
    "fetch ../other",
    "fetch https://x.example/r.git",
    "fetch elsewhere",
    "fetch user@host:repo",
    "push --receive-pack=x origin",
    "push --exec=x origin",
    "push elsewhere main",
    "push --repo=x",
    "push --recurse-submodules=on-demand origin",
    "pull ext::x",
    "pull --upload-pack=x",
    "diff --output=x",
    "diff --outp=x",
    "diff --no-index a b",
    "diff /etc/passwd /etc/shadow",
    "diff ../../a b",
    "diff --ext-diff",
    "diff --textconv",
    "diff -O/etc/passwd",
    "log --output=x",
    "log --show-signature",
    "log -c --git-dir=/x",
    "show --submodule=diff",
    "status --git-dir=/x",
    "status -c core.pager=x",
    "add -p",
    "add -i",
    "add -e",
    "add --pathspec-from-file=/etc/passwd",
    "add /etc/passwd",
    "commit -F /etc/passwd",
    "commit --file=/etc/passwd",
    "commit -aF/etc/passwd",
    "commit -t x",
    "commit --template=x",
    "commit -S",
    "commit -m -F/etc/passwd",
    "commit --pathspec-from-file=x",
    "merge -s x",
    "merge --strategy=x",
    "merge --strategy x",
    "merge -F x",
    "tag -s v1",
    "tag -u key v1",
    "tag -F /etc/passwd v1",
    "tag -v v1",
    "branch --edit-description",
    "checkout --recurse-submodules x",
    "checkout -p",
    "checkout --pathspec-from-file=x",
    "stash create",
    "stash show -m --output=x",
    "cherry-pick -e x",
    "cherry-pick --gpg-sign x",
    "cherry-pick --strategy=/x y",
    "reset --pathspec-from-file=x",
    "log --help",
    "log -h",
    "log --stdin",
]


@pytest.mark.parametrize("command", ALLOWED)
def test_what_is_harmless_passes(command: str) -> None:
    subcommand, *arguments = command.split(" ")
    if command.startswith("commit -m /"):
        arguments = ["-m", "/starts/with/a/slash ../and/more"]
    check(subcommand, arguments, ["origin"])


@pytest.mark.parametrize("command", REFUSED)
def test_what_runs_programs_or_leaves_the_repository_is_refused(command: str) -> None:
    subcommand, *arguments = command.split(" ")
    with pytest.raises(GitRefused):
        check(subcommand, arguments, ["origin"])


def test_a_refusal_names_what_is_allowed() -> None:
    with pytest.raises(GitRefused, match=r"--output of git diff is not allowed; allowed are .*--stat.*"):
        check("diff", ["--output=x"])
    with pytest.raises(
        GitRefused, match=r"'elsewhere' is not the name of a remote of this repository \(a, b\)"
    ):
        check("push", ["elsewhere"], ["b", "a"])


def listing(*keys: str, scope: str = "local") -> bytes:
    return "".join(f"{scope}\0{key}\0" for key in keys).encode()


@pytest.mark.parametrize(
    "key",
    [
        "filter.x.clean",
        "filter.x.process",
        "diff.external",
        "diff.x.textconv",
        "diff.x.command",
        "merge.x.driver",
        "core.sshcommand",
        "core.gitproxy",
        "core.askpass",
        "core.editor",
        "core.pager",
        "core.worktree",
        "core.attributesfile",
        "core.alternaterefscommand",
        "alias.log",
        "include.path",
        "includeif.gitdir:/.path",
        "remote.origin.uploadpack",
        "remote.origin.receivepack",
        "remote.origin.vcs",
        "remote.origin.proxy",
        "url.ext::x.insteadof",
        "credential.helper",
        "credential.https://x.helper",
        "sequence.editor",
        "trailer.x.command",
        "hook.x.command",
        "submodule.x.update",
        "submodule.x.ignore",
        "interactive.difffilter",
        "gc.recentobjectshook",
        "gpg.ssh.defaultkeycommand",
        "branch.x.mergeoptions",
        "lfs.customtransfer.x.path",
        "uploadpack.packobjectshook",
        "pager.log",
        "http.proxy",
        "commit.template",
        "something.new",
    ],
)
def test_a_repository_that_names_programs_is_refused(key: str) -> None:
    with pytest.raises(GitRefused, match="sets"):
        check_configuration(listing("core.bare", key))
    with pytest.raises(GitRefused):
        check_configuration(listing(key, scope="worktree"))
    check_configuration(listing(key, scope="global"))


def test_what_repositories_usually_set_passes() -> None:
    check_configuration(
        listing(
            "core.repositoryformatversion",
            "core.filemode",
            "core.hookspath",
            "remote.origin.url",
            "remote.a.b.fetch",
            "branch.feature/x.merge",
            "branch.main.remote",
            "user.email",
            "extensions.worktreeconfig",
            "submodule.lib.url",
            "pull.rebase",
            "lfs.https://x/info/lfs.access",
        )
    )


def test_an_interrupted_rebase_must_not_run_programs() -> None:
    check_todo("pick abc exec\nreword def x\n")
    for line in ("exec make", "x make", "  exec make"):
        with pytest.raises(GitRefused):
            check_todo(f"pick abc\n{line}\n")
