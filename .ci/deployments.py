#!/usr/bin/env python3
"""The files that start the command elsewhere: options that they use are options of the command.

    .ci/deployments.py BINARY
"""

import re
import subprocess
import sys
from pathlib import Path

import yaml

FOLDER = Path("vs-mio/cli")


def options(binary, verb):
    text = subprocess.run([binary, verb, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--[a-z][a-z-]*", text))


def commands(text):
    """Each `vs VERB …` in a text, up to the end of its paragraph."""
    return re.findall(r"\bvs (node|kv|server|keygen|status) ([^\n]*(?:\n[ \t]+[^\n]*)*)", text)


def main():
    binary, failures, count = sys.argv[1], [], 0
    files = [*FOLDER.glob("systemd/*"), *FOLDER.glob("kubernetes/*"), FOLDER / "Dockerfile"]
    for file in files:
        text = file.read_text()
        if file.suffix == ".yaml":
            documents = list(yaml.safe_load_all(text))
            for document in documents:
                if not {"apiVersion", "kind", "metadata"} <= document.keys():
                    failures.append(f"{file}: a document without apiVersion, kind or metadata")
        # Of what is piped, or follows another command, each is looked at by itself.
        for verb, words in commands(re.sub(r"&&.*", "", text.replace("\\\n", " "))):
            known = options(binary, verb)
            for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", " " + words):
                count += 1
                if option not in known:
                    failures.append(f"{file}: vs {verb} has no {option}")
    print(f"{count} options in {len(files)} files, {len(failures)} failures")
    print("\n".join(failures))
    sys.exit(bool(failures) or count == 0)


if __name__ == "__main__":
    main()
