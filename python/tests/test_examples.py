"""The same generator and command, in Python and in Perl."""

import os
import re
import unittest

from worker import EXAMPLES, Plugin, PluginFile

TASKLIST = {
    "name": "Test Generator",
    "stages": [
        {
            "name": "Test stage",
            "concurrency": 1,
            "tasks": [{"command": "test_command", "message": "Hello World"}],
        }
    ],
}


class Examples:
    def test_generator(self):
        with self.start("generators/test") as plugin:
            described = plugin.result("describe", protocol=1, directory="/")
            self.assertEqual(described["protocol"], 1)
            self.assertEqual([g["name"] for g in described["generators"]], ["test"])
            options = {"config": "test.conf", "component": None}
            config = {"platform": "test"}
            tasklist = plugin.result("generate", generator="test", config=config, options=options)
            self.assertEqual(tasklist, TASKLIST)
            self.assertEqual(plugin.logged(), [["TestGenerator", "*", "Generating test task list"]])

    def test_command_described(self):
        with self.start("commands/test_command") as plugin:
            described = plugin.result("describe", protocol=1, directory="/")
            (command,) = described["commands"]
            self.assertEqual(command["name"], "test_command")
            self.assertEqual(command["schema"]["required"], ["message"])
            self.assertEqual(set(command["schema"]["properties"]), {"message", "optional_argument"})
            self.assertIs(command["schema"]["additionalProperties"], False)

    def test_command_runs(self):
        for host, logged in ((None, "local"), ("fe001", "fe001")):
            with self.start("commands/test_command") as plugin:
                task = {
                    "command": "test_command",
                    "instance": "1.1.1",
                    "arguments": {"message": "Hello World"},
                    "remote_host": host,
                    "tag": None,
                }
                self.assertIs(plugin.result("initialize", **task), True)
                self.assertIs(plugin.result("execute", **task), True)
                self.assertEqual(
                    plugin.logged(),
                    [
                        ["TestCommand", "*", "Initializing test command: Hello World / None"],
                        ["TestCommand", logged, "Executing test command: Hello World / None"],
                    ],
                )
                self.assertEqual(plugin.end(), 0)
                self.assertEqual(plugin.rubbish, [])

    def test_unknown_method(self):
        with self.start("commands/test_command") as plugin:
            self.assertEqual(plugin.error("dance")["code"], -32601)


class PythonExamples(Examples, unittest.TestCase):
    def start(self, name):
        return Plugin.python(os.path.join(EXAMPLES, "seed", name + ".py"))

    def test_class_names(self):
        with self.start("generators/test") as plugin:
            (generator,) = plugin.result("describe", protocol=1)["generators"]
            self.assertEqual(generator["class"], "TestGenerator")


class PerlExamples(Examples, unittest.TestCase):
    def start(self, name):
        return Plugin([os.path.join(EXAMPLES, "perl", name)])


class Documentation(unittest.TestCase):
    def blocks(self, language):
        docs = os.path.join(os.path.dirname(EXAMPLES), "docs", "plugins.md")
        with open(docs, encoding="utf-8") as file:
            return re.findall("```" + language + r"\n(.*?)```", file.read(), re.DOTALL)

    def test_the_python_command_works(self):
        task = {"command": "clear_cache", "instance": "1.1.1", "arguments": {"directory": "/a b"}}
        with PluginFile(self.blocks("python")[0]) as plugin:
            call = plugin.call("execute", **task)
            plugin.send(id=plugin.asked("file_exists", call)["id"], result=True)
            asked = plugin.asked("execute_remote", call)
            self.assertEqual(asked["params"]["command"], "clear-cache --keep 0 '/a b'")
            plugin.send(id=asked["id"], result={"output": "", "stderr": "", "status": 0})
            self.assertIs(plugin.answer(call)["result"], True)

    def test_shows_the_perl_command_as_it_is(self):
        (shown,) = self.blocks("perl")
        path = os.path.join(EXAMPLES, "perl", "commands", "test_command")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(shown, file.read())


if __name__ == "__main__":
    unittest.main()
