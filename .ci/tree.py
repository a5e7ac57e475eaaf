#!/usr/bin/env python3
"""What can be told of the tree without a compiler: sizes of files, lengths of lines, links,
names of files on pages, copies.

Prints each violation with its place, and ends with status 1 if there is one.
"""

import re
import subprocess
import sys
from pathlib import Path

FILE_LINES_MAX = 600
LINE_COLUMNS_MAX = 100
PAGES = Path("vs-core/src/manual")
# The README is part of each package, in which no other page is beside it.
PACKAGED = Path("README.md")
# Pages that name files and folders of the code in backquotes.
NAMING_PAGES = ["vs-core/src/manual/*.md", "vs-core/PROOF.md", "vs-core/MUTANTS.md"]
NAMING_PAGES += ["CONTRIBUTING.md", "README.md"]
# A path on these pages is relative to one of these folders.
BASES = ["", "vs-core/src/", "vs-core/", "vs-std/src/", "vs-mio/src/", "vs-mio/cli/src/"]
PACKAGES = ["vs-core", "vs-std", "vs-std/capi", "vs-mio", "vs-mio/cli", "vs-bench", "fuzz"]

violations = []


def report(path, line, what):
    violations.append(f"{path}:{line}: {what}")


def tracked(*patterns):
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], check=True, capture_output=True)
    paths = (Path(name.decode()) for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.exists()]


def is_long(line):
    """A table cannot be wrapped, nor can an address."""
    text = line.lstrip(" /!#")
    return len(line) > LINE_COLUMNS_MAX and not text.startswith("|") and "://" not in text


def check_lengths(path, lines, is_comment):
    for number, line in enumerate(lines, 1):
        if is_comment(line) and is_long(line):
            report(path, number, f"{len(line)} columns; a comment has at most {LINE_COLUMNS_MAX}")


def slug(heading):
    """The anchor that rustdoc, and most others, give to a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text))


def anchors(text):
    found = set(re.findall(r'<a id="([^"]+)">', text))
    return found | {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}


def without_code(text):
    """Code cannot link; lines stay where they are."""
    text = re.sub(r"^```.*?^```", lambda code: "\n" * code.group().count("\n"), text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def check_links(path, text, pages):
    """Relative links of Markdown, and the anchors of links into the manual."""
    for found in re.finditer(r"\]\(([^)\s]+)\)", without_code(text) if path.suffix == ".md" else text):
        target, line = found.group(1), text.count("\n", 0, found.start()) + 1
        into_manual = re.fullmatch(r"(?:crate|vs_core)::manual::(\w+)(?:#(.+))?", target)
        if into_manual:
            page, anchor = into_manual.groups()
            if page in pages and anchor and anchor not in pages[page]:
                report(path, line, f"the page {page} has no anchor {anchor}")
        elif path.suffix != ".md" or "://" in target or "::" in target or target == "crate":
            pass
        elif target.startswith("#"):
            if target[1:] not in anchors(text):
                report(path, line, f"no anchor {target}")
        elif path == PACKAGED and found.string[: found.start()].rpartition("\n")[2].startswith("!["):
            # A picture is missing in a package; there is no address of the project to name.
            check_file(path, line, target)
        elif path == PACKAGED:
            report(path, line, f"{target} is not in the packages that carry this page")
        else:
            check_file(path, line, target)


def check_file(path, line, target):
    file, _, anchor = target.partition("#")
    there = path.parent / file
    if not there.exists():
        report(path, line, f"{target} is not there")
    elif anchor and anchor not in anchors(there.read_text()):
        report(path, line, f"{file} has no anchor {anchor}")


def check_marks(path, text):
    """Git leaves such marks where a merge was not finished."""
    for found in re.finditer(r"^(?:<{7}|>{7}) ", text, re.M):
        report(path, text.count("\n", 0, found.start()) + 1, "a merge was not finished")


def check_names(path, text, files):
    """Names of files and folders in backquotes: `cut.rs` is somewhere, `sync/cut.rs` is there."""
    folders = {f"{folder}/" for file in files for folder in Path(file).parents}
    for found in re.finditer(r"`([\w.-]+\.rs|(?:[\w.-]+/)+(?:[\w.-]+\.rs)?)`", text):
        name, line = found.group(1), text.count("\n", 0, found.start()) + 1
        names = folders if name.endswith("/") else files
        is_bare = "/" not in name.rstrip("/")
        if not (any(base + name in names for base in BASES) or is_bare and any(n.endswith("/" + name) for n in names)):
            report(path, line, f"there is no {name}")


def check_licences():
    for name in ["LICENSE-MIT", "LICENSE-APACHE"]:
        original = Path(name).read_bytes()
        for package in PACKAGES:
            copy = Path(package) / name
            if not copy.exists() or copy.read_bytes() != original:
                report(copy, 1, f"is not a copy of {name}")


def check_manifest_lines(path, text):
    """The name on the public registry belongs to another project."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r'^\W*vs-core = (?:"|\{ version = "[^"]*"(?!.*path))', line):
            report(path, number, "vs-core from the public registry is another project's")


def main():
    pages = {page.stem: anchors(page.read_text()) for page in PAGES.glob("*.md")}
    for path in tracked("*.rs"):
        text = path.read_text()
        lines = text.splitlines()
        if len(lines) > FILE_LINES_MAX:
            report(path, len(lines), f"a file has at most {FILE_LINES_MAX} lines")
        check_lengths(path, lines, lambda line: line.lstrip().startswith("//"))
        check_links(path, text, pages)
        check_manifest_lines(path, text)
    for path in tracked("*.toml", "*.sh", "*.py", ".ci/run"):
        check_lengths(path, path.read_text().splitlines(), lambda line: line.lstrip().startswith("#"))
    for path in tracked("*.md"):
        text = path.read_text()
        check_marks(path, text)
        check_links(path, text, pages)
        check_manifest_lines(path, text)
    files = {path.as_posix() for path in tracked()}
    for path in tracked(*NAMING_PAGES):
        check_names(path, path.read_text(), files)
    check_licences()
    print("\n".join(violations))
    sys.exit(1 if violations else 0)


main()
