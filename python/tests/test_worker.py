"""The worker's side of the protocol."""

import json
import time
import unittest

from worker import PluginFile, task

ASKS = """
    from deployerlib.command import Command

    class Ask(Command):
        def initialize(self, file):
            return True

        def execute(self):
            self.log.info("asking for %s", self.file)
            there = self.remote_host.file_exists(self.file)
            result = self.remote_host.execute_remote("cat " + self.file, use_sudo=True)
            self.log.info("{0} {1} {2} {3}".format(there, result, result.failed, result.status))
            return result.succeeded
"""


class Concurrency(unittest.TestCase):
    def test_two_calls_with_callbacks_interleaved(self):
        with PluginFile(ASKS) as plugin:
            first = task("ask", "1.1.1", "fe001", file="/a")
            second = task("ask", "1.2.1", "fe002", file="/b")
            self.assertIs(plugin.result("initialize", **first), True)
            self.assertIs(plugin.result("initialize", **second), True)
            a, b = plugin.call("execute", **first), plugin.call("execute", **second)
            exists_a, exists_b = plugin.asked("file_exists", a), plugin.asked("file_exists", b)
            self.assertEqual(exists_a["params"]["path"], "/a")
            self.assertEqual(exists_b["params"]["path"], "/b")
            self.assertNotEqual(exists_a["id"], exists_b["id"])

            # The second call goes all the way while the first still waits.
            plugin.send(id=exists_b["id"], result=False)
            run_b = plugin.asked("execute_remote", b)
            self.assertEqual(run_b["params"], {"call": b, "command": "cat /b", "use_sudo": True})
            failed = {"output": "", "stderr": "no", "status": 1, "succeeded": False, "failed": True}
            plugin.send(id=run_b["id"], result=failed)
            self.assertIs(plugin.answer(b)["result"], False)

            plugin.send(id=exists_a["id"], result=True)
            run_a = plugin.asked("execute_remote", a)
            good = {"output": "x", "stderr": "", "status": 0, "succeeded": True, "failed": False}
            plugin.send(id=run_a["id"], result=good)
            self.assertIs(plugin.answer(a)["result"], True)
            self.assertCountEqual(
                plugin.logged(),
                [
                    ["Ask", "fe001", "asking for /a"],
                    ["Ask", "fe002", "asking for /b"],
                    ["Ask", "fe002", "False  True 1"],
                    ["Ask", "fe001", "True x False 0"],
                ],
            )

    def test_more_calls_than_threads(self):
        with PluginFile(ASKS) as plugin:
            calls = {}
            for n in range(100):
                one = task("ask", "1.{0}.1".format(n), file="/f{0}".format(n))
                calls[plugin.call("execute", **one)] = "/f{0}".format(n)
            while calls:
                asked = plugin.take(lambda m: m.get("method") in ("file_exists", "execute_remote"))
                if asked["method"] == "file_exists":
                    self.assertEqual(calls[asked["params"]["call"]], asked["params"]["path"])
                    plugin.send(id=asked["id"], result=True)
                else:
                    plugin.send(id=asked["id"], result={"output": "", "status": 0})
                    call = asked["params"]["call"]
                    self.assertIs(plugin.answer(call)["result"], True)
                    del calls[call]

    def test_end_of_input_ends_it_in_the_middle_of_a_call(self):
        with PluginFile(ASKS) as plugin:
            call = plugin.call("execute", **task("ask", file="/a"))
            plugin.asked("file_exists", call)
            start = time.monotonic()
            self.assertEqual(plugin.end(), 0)
            self.assertLess(time.monotonic() - start, 5)


class Output(unittest.TestCase):
    def test_print_does_not_reach_the_protocol(self):
        source = """
            import os, subprocess, sys
            from deployerlib.command import Command
            print("at import")

            class Talk(Command):
                def initialize(self):
                    print("printed")
                    sys.stdout.write("written\\n")
                    os.write(1, b"to the descriptor\\n")
                    subprocess.check_call(["echo", "by a child"])
                    return True

                def execute(self):
                    return sys.stdin.read() == "" and os.read(0, 1) == b""
        """
        with PluginFile(source) as plugin:
            self.assertIs(plugin.result("initialize", **task("talk")), True)
            self.assertIs(plugin.result("execute", **task("talk")), True)
            self.assertEqual(plugin.end(), 0)
            self.assertEqual(plugin.rubbish, [])
            printed = plugin.stderr().splitlines()
            self.assertEqual(
                printed, ["at import", "printed", "written", "to the descriptor", "by a child"]
            )

    def test_a_file_without_our_classes_is_a_program(self):
        source = """
            import json, sys

            class Mine(Exception):
                pass

            for line in sys.stdin:
                request = json.loads(line)
                print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": __name__}))
        """
        with PluginFile(source) as plugin:
            self.assertEqual(plugin.result("describe"), "__main__")

    def test_a_program_that_uses_our_library(self):
        source = "from deployerlib.exceptions import DeployerException\n" + (
            "import json, sys\n"
            "for line in sys.stdin:\n"
            "    request = json.loads(line)\n"
            "    print(json.dumps({'jsonrpc': '2.0', 'id': request['id'], 'result': __name__}))\n"
        )
        with PluginFile(source) as plugin:
            self.assertEqual(plugin.result("describe"), "__main__")


class Failures(unittest.TestCase):
    def test_exception(self):
        source = """
            from deployerlib.command import Command
            from deployerlib.exceptions import DeployerException

            class Fail(Command):
                def initialize(self, how):
                    return True

                def execute(self):
                    if self.how == "exit":
                        raise SystemExit(3)
                    if self.how == "none":
                        return None
                    raise DeployerException("no room")
        """
        with PluginFile(source) as plugin:
            error = plugin.error("execute", **task("fail", how="raise"))
            self.assertEqual(error["message"], "DeployerException: no room")
            self.assertEqual(error["code"], -32000)
            self.assertIn('raise DeployerException("no room")', error["data"]["traceback"])
            self.assertNotIn("windlass_worker", error["data"]["traceback"])
            self.assertEqual(
                plugin.error("execute", **task("fail", how="exit"))["message"], "SystemExit: 3"
            )
            self.assertIsNone(plugin.result("execute", **task("fail", how="none")))

    def test_error_of_a_callback(self):
        with PluginFile(ASKS) as plugin:
            call = plugin.call("execute", **task("ask", file="/a"))
            asked = plugin.asked("file_exists", call)
            plugin.send(id=asked["id"], error={"code": -32000, "message": "fe001: no route"})
            error = plugin.answer(call)["error"]
            self.assertEqual(error["message"], "DeployerException: file_exists: fe001: no route")

    def test_a_file_that_does_not_load(self):
        for source, message in (
            ("def broken(:\n", "SyntaxError: "),
            ("import deployerlib.command\nimport no_such_thing\n", "ModuleNotFoundError: "),
        ):
            with PluginFile(source) as plugin:
                error = plugin.error("describe", protocol=1)
                self.assertTrue(error["message"].startswith(message), error)
                self.assertIn("plugin.py", error["data"]["traceback"])

    def test_arguments(self):
        with PluginFile(ASKS) as plugin:
            found = plugin.result("initialize", **task("ask", fiel="/a"))["diagnostics"]
            self.assertEqual([d["key"] for d in found], ["file", "fiel"])
            result = plugin.result("execute", **task("ask"))
            self.assertIs(result["result"], False)
            self.assertIn("'file' is missing", result["output"])

    def test_lines_that_are_no_message(self):
        with PluginFile(ASKS) as plugin:
            for line, code in ((b"{nonsense", -32700), (b"\xff", -32700), (b"[1]", -32600)):
                plugin.send_line(line)
                self.assertEqual(plugin.answer(None)["error"]["code"], code)
            plugin.send_line(json.dumps({"id": "x" * (17 << 20), "method": "describe"}).encode())
            self.assertEqual(plugin.answer(None)["error"]["code"], -32700)
            self.assertEqual(plugin.error("describe", protocol=2)["code"], -32602)
            self.assertEqual(plugin.result("describe", protocol=1)["protocol"], 1)

    def test_what_json_cannot_say(self):
        source = """
            from deployerlib.generator import Generator

            class Odd(Generator):
                def generate(self):
                    return {"a": set()} if self.config.odd else {"name": "\\udcff" + "\u2028"}
        """
        with PluginFile(source) as plugin:
            error = plugin.error("generate", generator="odd", config={"odd": True}, options={})
            self.assertIn("is a set, which JSON cannot say", error["message"])
            result = plugin.result("generate", generator="odd", config={"odd": False}, options={})
            self.assertEqual(result, {"name": "?\u2028"})


if __name__ == "__main__":
    unittest.main()
