#!/usr/bin/env python3
"""Stands in for the windlass program: logs as it does, and writes down how it was called."""

import json
import os
import sys

TASKLIST = {"name": "Test Generator", "stages": [], "plan": {"config": "abc"}}
MESSAGE = "test command: Hello World / None"


def log(millisecond, component, host, message):
    line = "2014-12-03 15:29:01,{0:03} [INFO    ] [{1:15}] [{2}] [*] {3}\n"
    sys.stderr.write(line.format(millisecond, component, host, message))


def value(option):
    return sys.argv[sys.argv.index(option) + 1] if option in sys.argv else None


def main():
    verb = sys.argv[1]
    tasklist = value("--tasklist")
    seen = {"arguments": sys.argv[1:]}
    if tasklist:
        with open(tasklist, encoding="utf-8") as file:
            seen["tasklist"] = json.load(file)
    with open(os.environ["FAKE_CALLS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(seen) + "\n")
    start = {"plan": 100, "deploy": 500}[verb]
    log(start, "Config", "*", "Loading configuration from {0}".format(value("--config")))
    if os.environ.get("FAKE_FAILS") == verb + (" --tasklist" if tasklist else ""):
        sys.stderr.write("error: no such command\n")
        return 2
    if not tasklist:
        log(start + 1, "TestGenerator", "*", "Generating test task list")
    log(start + 2, "TestCommand", "*", "Initializing " + MESSAGE)
    if "--dump" in sys.argv:
        print(json.dumps(TASKLIST))
    elif verb == "plan":
        print("Syntax ok")
    else:
        log(600, "Executor", "*", "Starting stage: Test stage")
        log(601, "TestCommand", "local", "Executing " + MESSAGE)
        log(602, "Executor", "*", "Finished stage: Test stage")
    return 0


if __name__ == "__main__":
    sys.exit(main())
