"""Scripts that use CommandLine, Config, Tasklist and Executor, with a stand-in for windlass."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from worker import EXAMPLES, PYTHON

SEED = os.path.join(EXAMPLES, "seed")
FAKE = os.path.join(PYTHON, "tests", "fake_windlass.py")
DUMPED = {"name": "Test Generator", "stages": [], "plan": {"config": "abc"}}


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.calls = os.path.join(self.folder.name, "calls")

    def run_script(self, *arguments, script="test.py", **env):
        ours = {"PYTHONPATH": PYTHON, "WINDLASS_BIN": FAKE, "FAKE_CALLS": self.calls}
        return subprocess.run(
            [sys.executable, script] + list(arguments),
            cwd=SEED,
            env=dict(os.environ, **dict(ours, **env)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=30,
        )

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def called(self):
        with open(self.calls, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_the_example_logs_what_its_readme_shows(self):
        done = self.run_script("--config", "test.conf")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        with open(os.path.join(SEED, "README.md"), encoding="utf-8") as file:
            shown = [line[24:] for line in file.read().splitlines() if line.startswith("2014-")]
        self.assertEqual([line[24:] for line in done.stderr.splitlines()], shown)

    def test_how_windlass_is_called(self):
        done = self.run_script("--config", "test.conf", "--hosts", "a", "b", "--redeploy")
        self.assertEqual(done.returncode, 0, done.stderr)
        make, check, run = self.called()
        options = ["--config", "test.conf", "--hosts", "a", "b", "--redeploy"]
        self.assertEqual(make["arguments"], ["plan"] + options + ["--dump"])
        for verb, call in (("plan", check), ("deploy", run)):
            self.assertEqual(call["arguments"][:2], [verb, "--tasklist"])
            self.assertEqual(call["arguments"][3:], ["--config", "test.conf"])
            self.assertEqual(call["tasklist"], DUMPED)
        path = run["arguments"][2]
        self.assertFalse(os.path.exists(path), "the temporary file is left")

    def test_a_given_tasklist_is_run_where_it_is(self):
        path = self.write("mine.json", '{"name": "n", "stages": []}')
        done = self.run_script("--tasklist", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            [call["arguments"] for call in self.called()],
            [["plan", "--tasklist", path], ["deploy", "--tasklist", path]],
        )

    def test_failures(self):
        done = self.run_script("--config", "test.conf", FAKE_FAILS="deploy --tasklist")
        self.assertIn("Execution failed: windlass deploy: nothing was done", done.stdout)
        self.assertIn("error: no such command", done.stderr)
        for verb in ("plan", "plan --tasklist"):
            done = self.run_script("--config", "test.conf", FAKE_FAILS=verb)
            self.assertEqual(done.returncode, 1)
            self.assertIn("DeployerException: windlass plan: nothing was done", done.stderr)

    def test_no_windlass(self):
        done = self.run_script("--config", "test.conf", WINDLASS_BIN="/no/windlass")
        self.assertIn("cannot find the program '/no/windlass'", done.stderr)

    def test_another_generator_than_the_platforms(self):
        source = (
            "from deployerlib.config import Config\n"
            "from deployerlib.tasklist import Tasklist\n"
            "print(Tasklist(Config({'config': 'test.conf'}), 'OtherGenerator').tasklist)\n"
        )
        done = self.run_script(script=self.write("script.py", source))
        self.assertIn("the platform 'test' is not made by OtherGenerator", done.stderr)

    def test_a_tasklist_of_ones_own(self):
        source = (
            "from deployerlib.config import Config\n"
            "from deployerlib.executor import Executor\n"
            "config = Config({'config': 'test.conf'})\n"
            "print(Executor(tasklist={'name': 'n', 'stages': []}, config=config).run())\n"
        )
        done = self.run_script(script=self.write("script.py", source))
        self.assertEqual(done.stdout, "True\n", done.stderr)
        self.assertEqual(self.called()[-1]["tasklist"], {"name": "n", "stages": []})
        self.assertEqual(self.called()[-1]["arguments"][3:], ["--config", "test.conf"])

    def test_usage(self):
        done = self.run_script("--confog", "x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--hostgroups", done.stderr)


if __name__ == "__main__":
    unittest.main()
