"""What the base classes offer to a plugin, as Windlass sees it."""

import json
import os
import unittest

from worker import PluginFile, task


class Commands(unittest.TestCase):
    def test_schema(self):
        source = """
            from typing import Dict, List, Optional
            from deployerlib.command import Command

            class Base(Command):
                pass

            class _Hidden(Command):
                pass

            class HTTPNotify2(Base):
                '''Tells somebody.

                At length.'''
                repeat = "safe"

                def initialize(self, url: str, tries: int = 3, ratio: float = 0.5, on: bool = True,
                               names: List[str] = None, extra: Optional[dict] = None,
                               headers: Dict[str, str] = {}, tag=None, other=None):
                    return True
        """
        with PluginFile(source) as plugin:
            base, notify = plugin.result("describe", protocol=1)["commands"]
            self.assertEqual((base["name"], base["schema"]["additionalProperties"]), ("base", True))
            self.assertEqual(notify["name"], "http_notify2")
            self.assertEqual(notify["doc"], "Tells somebody.\n\nAt length.")
            self.assertEqual(notify["repeat"], "safe")
            self.assertEqual(notify["schema"]["required"], ["url"])
            properties = notify["schema"]["properties"]
            self.assertEqual(properties["url"], {"type": "string"})
            self.assertEqual(properties["tries"], {"type": "integer", "default": 3})
            self.assertEqual(properties["ratio"], {"type": "number", "default": 0.5})
            self.assertEqual(properties["on"], {"type": "boolean", "default": True})
            self.assertEqual(
                properties["extra"],
                {"anyOf": [{"type": "object"}, {"type": "null"}], "default": None},
            )
            self.assertIn("array", json.dumps(properties["names"]))
            self.assertEqual(properties["headers"]["type"], "object")
            self.assertEqual(properties["other"], {"default": None})
            self.assertNotIn("tag", properties)

    def test_reserved_argument(self):
        source = """
            from deployerlib.command import Command

            class Bad(Command):
                def initialize(self, log):
                    return True
        """
        with PluginFile(source) as plugin:
            self.assertIn("cannot be called 'log'", plugin.error("describe", protocol=1)["message"])

    def test_state_is_kept_and_a_changed_task_is_initialized_anew(self):
        source = """
            from deployerlib.command import Command

            class Count(Command):
                def initialize(self, word):
                    self.log.info("init {0} {1}".format(word, self.tag))
                    self.times = 0
                    return True

                def execute(self):
                    self.times += 1
                    self.log.warning("time %d", self.times)
                    return self.times == 2
        """
        with PluginFile(source) as plugin:
            one = task("count", tag="web", word="a")
            plugin.result("initialize", **one)
            self.assertIs(plugin.result("execute", **one), False)
            self.assertIs(plugin.result("execute", **one), True)
            plugin.result("execute", **task("count", tag="web", word="b"))
            self.assertEqual(
                [message for _, _, message in plugin.logged()],
                ["init a web", "time 1", "time 2", "init b web", "time 1"],
            )

    def test_put_remote(self):
        source = """
            from deployerlib.command import Command

            class Put(Command):
                def execute(self):
                    return self.remote_host.put_remote("a.tar", "/opt") == ["/opt/a.tar"]
        """
        with PluginFile(source) as plugin:
            call = plugin.call("execute", **task("put"))
            asked = plugin.asked("put_remote", call)
            path = os.path.join(os.getcwd(), "a.tar")
            self.assertEqual(
                asked["params"], {"call": call, "local_file": path, "remote_dir": "/opt"}
            )
            plugin.send(id=asked["id"], result=["/opt/a.tar"])
            self.assertIs(plugin.answer(call)["result"], True)


class Generators(unittest.TestCase):
    def test_what_it_may_ask_and_its_config(self):
        source = """
            from deployerlib.generator import Generator

            class Aurora(Generator):
                def generate(self):
                    (package,) = self.get_packages()
                    versions = self.get_remote_versions([package])
                    return {
                        "package": [package.servicename, package.version, package.filename,
                                    package.fullpath, package.sha256],
                        "version": versions["shop"]["app1"],
                        "stages": [self.get_graphite_stage("start")],
                        "config": [self.config.platform, self.config["user"], self.config.component,
                                   self.config.hosts, self.config.graphite.carbon_host,
                                   self.config.get("nothing")],
                    }
        """
        package = {
            "service": "shop",
            "version": "1.4",
            "filename": "shop_1.4.tar.gz",
            "path": "/r/shop_1.4.tar.gz",
            "sha256": "ab",
        }
        config = {"platform": "x", "user": "a", "graphite": {"carbon_host": "g"}}
        options = {"user": "b", "component": ["/r/shop_1.4.tar.gz"], "platform": None}
        with PluginFile(source) as plugin:
            # The only generator of a file goes by any name.
            call = plugin.call("generate", generator="x", config=config, options=options)
            plugin.send(id=plugin.asked("get_packages", call)["id"], result=[package])
            asked = plugin.asked("get_remote_versions", call)
            self.assertEqual(asked["params"]["packages"], [package])
            plugin.send(id=asked["id"], result={"shop": {"app1": None}})
            asked = plugin.asked("get_graphite_stage", call)
            self.assertEqual(asked["params"]["metric_suffix"], "start")
            plugin.send(id=asked["id"], result={"name": "g"})
            result = plugin.answer(call)["result"]
            self.assertEqual(
                result["package"], ["shop", "1.4", "shop_1.4.tar.gz", package["path"], "ab"]
            )
            self.assertIsNone(result["version"])
            self.assertEqual(result["stages"], [{"name": "g"}])
            self.assertEqual(result["config"], ["x", "b", [package["path"]], None, "g", None])

    def test_missing_key(self):
        source = """
            from deployerlib.generator import Generator

            class Aurora(Generator):
                def generate(self):
                    return self.config.platfrom
        """
        with PluginFile(source) as plugin:
            error = plugin.error(
                "generate", generator="aurora", config={"platform": "x"}, options={}
            )
            self.assertIn("did you mean 'platform'?", error["message"])

    def test_sibling_base_and_standard_name(self):
        source = """
            import json
            from common import Base

            class Shop(Base):
                stage = "s"
        """
        common = """
            from deployerlib.generator import Generator

            class Base(Generator):
                def generate(self):
                    return {"name": self.stage}
        """
        with PluginFile(source, "json.py", {"common.py": common}) as plugin:
            names = [g["name"] for g in plugin.result("describe", protocol=1)["generators"]]
            self.assertEqual(names, ["shop"])
            result = plugin.result("generate", generator="shop", config={}, options={})
            self.assertEqual(result, {"name": "s"})


class Behaviours(unittest.TestCase):
    SOURCE = """
        from releasemanager.auth import AuthPlugin
        from releasemanager.builder import BuildBehavior
        from releasemanager.installer import InstallBehavior

        class WarBuildBehavior(BuildBehavior):
            def build(self, project, request, work_directory):
                return {self.config.target: "{0}-{1}.war".format(project["name"], request["tag"])}

        class WarInstallBehavior(InstallBehavior):
            def __call__(self, resource):
                self.log.info("{0} {1}".format(self.target, self.environment))
                return self.remote_host.file_exists(self.install_path + resource)

            def get_version(self):
                return self.config["version"]

        class People(AuthPlugin):
            def authenticate(self, credentials):
                return {"name": "ann"} if credentials["password"] == "x" else None

            def authorize(self, identity, action, project, environment, target):
                return True if environment == "test" else "not into " + environment
    """

    def test_all(self):
        with PluginFile(self.SOURCE) as plugin:
            described = plugin.result("describe", protocol=1)
            self.assertEqual([b["name"] for b in described["build_behaviours"]], ["war"])
            self.assertEqual([b["name"] for b in described["install_behaviours"]], ["war"])
            self.assertIs(described["auth"], True)
            built = plugin.result(
                "build",
                behaviour="war",
                project={"name": "shop"},
                request={"tag": "1"},
                work_directory="/w",
                config={"target": "web"},
            )
            self.assertEqual(built, {"resources": {"web": "shop-1.war"}})
            at = {"behaviour": "war", "target": "web", "environment": "test"}
            call = plugin.call("install", resource="/r", install_path="/i", config={}, **at)
            asked = plugin.asked("file_exists", call)
            self.assertEqual(asked["params"]["path"], "/i/r")
            plugin.send(id=asked["id"], result=True)
            self.assertIs(plugin.answer(call)["result"], True)
            self.assertEqual(
                plugin.result("get_version", config={"version": "1"}, **at), {"version": "1"}
            )
            self.assertEqual(plugin.result("reset_version", config={}, **at), {"version": None})

    def test_auth(self):
        with PluginFile(self.SOURCE) as plugin:
            self.assertIsNone(plugin.result("authenticate", credentials={"password": "y"}))
            known = plugin.result("authenticate", credentials={"password": "x"})
            self.assertEqual(known, {"identity": {"name": "ann"}})
            what = {"identity": {}, "action": "install", "project": "p", "target": None}
            self.assertIs(plugin.result("authorize", environment="test", **what), True)
            denied = plugin.result("authorize", environment="prod", **what)
            self.assertEqual(denied, {"denied": "not into prod"})


if __name__ == "__main__":
    unittest.main()
