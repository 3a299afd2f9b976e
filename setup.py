"""Puts the workflow into wheels, as fit/_workflow: `fit run` finds it there where there is no clone."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
FILES = ("Snakefile", "rules/*.smk", "workflow/**/*", "envs/*", "profiles/**/*", "slurm/*", "config.schema.json")


class BuildWithWorkflow(build_py):
    """Builds the package, and copies the workflow into it."""

    def run(self):
        """Build; an editable install has the clone."""
        super().run()
        if self.editable_mode:
            return
        for pattern in FILES:
            for file in filter(Path.is_file, ROOT.glob(pattern)):
                target = Path(self.build_lib, "fit", "_workflow", file.relative_to(ROOT))
                self.mkpath(str(target.parent))
                self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": BuildWithWorkflow})
