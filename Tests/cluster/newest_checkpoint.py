#!/usr/bin/env python3
"""Prints the newest whole checkpoint of a run, as somebody sees it who knows only the format: 0 if there is none.

usage: newest_checkpoint.py RUN

Tells on stderr what is wrong with those that are not whole. Shares no code with the program, on purpose.
"""

import hashlib
import json
import os
import re
import sys


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault(directory, step):
    """Why a directory is no whole checkpoint of a step; None if it is one."""
    try:
        with open(f"{directory}/manifest.json", "rb") as file:
            text = file.read()
        body, mark, tail = text.rpartition(b',\n  "integrity": "')
        if not mark or tail != hashlib.sha256(body).hexdigest().encode() + b'"\n}\n':
            return "manifest.json is damaged"
        manifest = json.loads(body + b"}")
        if manifest["step"] != step:
            return f"manifest.json is of step {manifest['step']}"
        if len(manifest["files"]) != manifest["world_size"]:
            return "a rank has no shard"
        for shard in manifest["files"]:
            path = f"{directory}/{shard['name']}"
            if os.path.getsize(path) != shard["bytes"] or digest(path) != shard["sha256"]:
                return f"{shard['name']} is damaged"
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def main(run):
    directory = f"{run}/checkpoints"
    names = os.listdir(directory) if os.path.isdir(directory) else []
    steps = sorted((int(name[5:]) for name in names if re.fullmatch(r"step-\d{6,}", name)), reverse=True)
    for step in steps:
        why = fault(f"{directory}/step-{step:06d}", step)
        if why is None:
            return step
        print(f"step {step}: {why}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    print(main(sys.argv[1]))
