"""How the project `template` is built. Copy this file for a project of your own.

conf/builder/release_builder_template.xml names this file (package="builder.template") and the class in
it (klass="TemplateBuildBehavior").
"""

from releasemanager.builder import BuildBehavior


class TemplateBuildBehavior(BuildBehavior):
    """Zips a folder of the source for each named target.

    A build behaviour is a subclass of BuildBehavior that has `build`. It finds

    self.config   the elements of its file in conf/builder that are none of Windlass's, as a dict whose
                  keys are attributes too; their values are strings, dicts and lists
    self.log      a standard logger; its lines are the build's log, and so is what is printed
    """

    def build(self, project, request, work_directory):
        """Gives {named target: file}, a file for every named target of the project.

        project         the project's definition, a dict
        request         what the client asked for, a dict: project, action, env, trunk, branch, ...
        work_directory  where the source is checked out; it is this build's own, and is taken away
                        afterwards. Files are given relative to it.

        An exception is the build's failure; its text goes into the history.
        """
        resources = {}
        for target, folder in self.config.resources.items():
            self.log.info("%s: everything in %s", target, folder)
            # Whatever a build does comes here, with subprocess.run([...], check=True, cwd=work_directory).
            resources[target] = self.zip(work_directory, folder, target + ".zip")
        return resources
