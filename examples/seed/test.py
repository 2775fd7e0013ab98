#!/usr/bin/env python3
from deployerlib.commandline import CommandLine
from deployerlib.config import Config
from deployerlib.tasklist import Tasklist
from deployerlib.executor import Executor
from deployerlib.exceptions import DeployerException

args = CommandLine()
config = Config(args)
builder = Tasklist(config, 'TestGenerator')
executor = Executor(tasklist=builder.tasklist)

try:
    executor.run()
except DeployerException as e:
    print('Execution failed: {0}'.format(e))
