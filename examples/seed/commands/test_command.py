from deployerlib.command import Command


class TestCommand(Command):

    def initialize(self, message, optional_argument=None):
        # Accepting an optional argument means the attribute must be set
        # by initialize().
        self.optional_argument = optional_argument
        self.log.info('Initializing test command: {0} / {1}'.format(
          message, optional_argument))

        return True

    def execute(self):
        self.log.info('Executing test command: {0} / {1}'.format(
          self.message, self.optional_argument))

        return True
