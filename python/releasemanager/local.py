"""Builds the archive of a release with no manager: a zip of the resources and `index.json`.

A builder's `utils/template_builder.py` is a call of `main`. An archive holds `index.json` and, for each
named target, its resource as `TARGET/NAME`.
"""

import argparse
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
import zipfile

from releasemanager.builder import BuildBehavior

FORMAT = 1
_OURS = ("name", "klass", "package", "vcs", "version", "limits")


def main(installation, project, arguments=None):
    """The command line of `utils/template_builder.py`; gives the exit status."""
    parser = argparse.ArgumentParser(description="Builds {0} with no manager.".format(project))
    parser.add_argument("--source", help="a directory with the source (else that of the config)")
    parser.add_argument("--version", help="what the release is called (else the config, or the time)")
    parser.add_argument("-p", dest="path", help="a directory in the place of conf")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        print(build(installation, project, options.source, options.version, options.path))
    except (OSError, ValueError, ElementTree.ParseError) as error:
        sys.stderr.write("error: {0}\n".format(error))
        return 2
    return 0


def build(installation, project, source=None, version=None, conf=None):
    """Builds ``project`` and gives the path of the archive. The source is copied first; the copy is
    taken away whatever happens."""
    conf = os.path.abspath(conf or os.path.join(installation, "conf"))
    installation = os.path.dirname(conf)
    path = os.path.join(conf, "builder", "release_builder_{0}.xml".format(project))
    settings = read_xml(path)
    source = source or _source(settings, installation, path)
    behaviour = _behaviour(settings, installation, path)
    work = os.path.join(installation, "work")
    os.makedirs(work, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=project + "-", dir=work) as scratch:
        directory = os.path.join(scratch, "source")
        shutil.copytree(source, directory, symlinks=True)
        version = version or _version(settings, directory)
        _check_name("version", version)
        request = {"project": project, "action": "build", "trunk": True}
        resources = behaviour.build({"name": project}, request, directory)
        archives = os.path.join(installation, "archive")
        os.makedirs(archives, exist_ok=True)
        made = os.path.join(archives, "{0}-{1}.zip".format(project, version))
        _write(made, project, version, directory, resources)
    return made


def read_xml(path):
    """A file of the configuration as a dict: attributes and elements are keys, elements of one name a
    list, as Windlass reads it. A reference to a secret stays what it is: {"secret": "env:NAME"}."""
    return _value(ElementTree.parse(path).getroot()) or {}


def _value(element):
    found = dict(element.attrib)
    for child in element:
        key = child.attrib.pop("key") if child.tag == "entry" and "key" in child.attrib else child.tag
        value = _value(child)
        if key not in found:
            found[key] = value
        elif isinstance(found[key], list):
            found[key].append(value)
        else:
            found[key] = [found[key], value]
    text = (element.text or "").strip()
    if not found:
        return text or None
    if text:
        found["text"] = text
    return found


def _source(settings, installation, path):
    directory = (settings.get("vcs") or {}).get("directory")
    if directory is None:
        raise ValueError("{0} names no directory as source: check it out, and give --source".format(path))
    return os.path.join(installation, directory)


def _version(settings, source):
    version = settings.get("version")
    if isinstance(version, dict) and version.get("file"):
        with open(os.path.join(source, version["file"]), encoding="utf-8") as file:
            return file.readline().strip()
    return time.strftime("%Y%m%d%H%M%S", time.gmtime())


def _behaviour(settings, installation, path):
    package, klass = settings.get("package"), settings.get("klass")
    if not package or package.startswith("windlass."):
        raise ValueError("{0}: only a behaviour of your own can be built with no manager".format(path))
    file = os.path.join(installation, *package.split(".")) + ".py"
    spec = importlib.util.spec_from_file_location("windlass_local_behaviour", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, klass or "", None)
    if not isinstance(found, type) or not issubclass(found, BuildBehavior):
        raise ValueError("{0} has no class {1} that is a BuildBehavior".format(file, klass))
    return found({key: value for key, value in settings.items() if key not in _OURS})


def _write(made, project, version, directory, resources):
    if not isinstance(resources, dict) or not resources:
        raise ValueError("the behaviour gave no resources")
    targets = {}
    for target, file in sorted(resources.items()):
        _check_name("target", target)
        path = os.path.join(directory, file)
        digest = hashlib.sha256()
        with open(path, "rb") as content:
            for block in iter(lambda: content.read(1 << 20), b""):
                digest.update(block)
        targets[target] = {
            "name": os.path.basename(path),
            "digest": digest.hexdigest(),
            "size": os.path.getsize(path),
        }
    index = {
        "format": FORMAT,
        "project": project,
        "version": version,
        "revision": None,
        "targets": targets,
    }
    new = made + ".new"
    with zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("index.json", json.dumps(index, indent=2) + "\n")
        for target, item in targets.items():
            path = os.path.join(directory, resources[target])
            archive.write(path, "{0}/{1}".format(target, item["name"]))
    os.replace(new, made)


def _check_name(what, name):
    fits = all(c.isascii() and (c.isalnum() or c in "._+~-") for c in name)
    if not name or not fits or name[0] in ".-" or len(name) > 128:
        raise ValueError("{0!r} is no {1}: letters, digits and . _ + ~ - only".format(name, what))
