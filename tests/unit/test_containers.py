"""The recipes of containers take the steps of `make setup`; where there is no builder, their shape is checked."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE, APPTAINER = (ROOT / "Dockerfile").read_text(), (ROOT / "fit.def").read_text()
INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "ENTRYPOINT"}


def instructions():
    """(instruction, its words) of the Dockerfile, in order; lines that end in a backslash go on."""
    lines = [line for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [(name, " ".join(rest.split())) for name, rest in (line.split(" ", 1) for line in lines)]


def sections():
    """Header lines of fit.def, and its sections by name, without comments."""
    text = re.sub(r"^#.*\n", "", APPTAINER, flags=re.M)
    header, *rest = re.split(r"^%", text, flags=re.M)
    return header, {part.partition("\n")[0].strip(): part.partition("\n")[2] for part in rest}


def packages(text):
    """Debian's packages that a recipe installs."""
    return set(re.search(r"apt-get install --yes --no-install-recommends ([a-z0-9 -]+?)(?: &&|\n)", text)[1].split())


def test_the_dockerfile_has_known_instructions_in_an_order_that_can_work():
    found = instructions()
    assert {name for name, _ in found} == INSTRUCTIONS
    order = [name for name, _ in found]
    assert order[0] == "FROM" and order[-1] == "ENTRYPOINT"
    steps = [words for _, words in found]
    setup = steps.index("make setup")
    assert steps.index("src src") < setup < steps.index(". .")
    assert found[-1] == ("ENTRYPOINT", '["fit"]')
    assert ("ENV", "PATH=/opt/fit/.venv/bin:$PATH") in found


def test_both_begin_from_one_image_of_a_fixed_version_and_the_python_of_conda():
    ((_, image),) = [one for one in instructions() if one[0] == "FROM"]
    name, _, tag = image.partition(":")
    assert name == "python" and re.fullmatch(r"\d+\.\d+\.\d+-slim-[a-z]+", tag)
    header, _ = sections()
    assert header.split() == ["Bootstrap:", "docker", "From:", image]
    assert f"python={tag.partition('-')[0]}" in (ROOT / "envs/fit.yaml").read_text()


def test_both_install_the_same_packages_of_debian_and_run_make_setup():
    docker = " && ".join(words for name, words in instructions() if name == "RUN")
    _, of = sections()
    assert packages(docker + " &&") == packages(of["post"]) == {"git", "make"}
    assert "cd /opt/fit\n    make setup\n" in of["post"]
    assert of["runscript"].strip() == 'exec fit "$@"'
    assert "/opt/fit/.venv/bin" in of["environment"]
    # Nothing is installed but by make setup, which installs what the lock pins.
    for text in (docker, of["post"]):
        assert not re.search(r"\b(pip|uv|curl|wget)\b", text)


def needed_by_make_setup():
    """What the lock, the build of fit and the Makefile read."""
    return {"Makefile", "pyproject.toml", "requirements.lock", "README.md", "LICENSE", "src"}


@pytest.mark.parametrize("recipe", ["Dockerfile", "fit.def"])
def test_what_make_setup_reads_is_copied_before_it_and_exists(recipe):
    if recipe == "Dockerfile":
        before = instructions()[: [words for _, words in instructions()].index("make setup")]
        copied = {word for name, words in before if name == "COPY" for word in words.split()[:-1]}
    else:
        lines = [line.split() for line in sections()[1]["files"].splitlines() if line.strip()]
        assert all(target == f"/opt/fit/{source}" for source, target in lines)
        copied = {source for source, _ in lines}
        # The workflow itself too, of which the Dockerfile copies everything.
        assert {"Snakefile", "config.yaml", "config.schema.json", "rules", "workflow", "envs", "concepts"} <= copied
    assert needed_by_make_setup() <= copied
    assert all((ROOT / name).exists() for name in copied)


def test_what_a_checkout_holds_besides_is_left_out_of_the_image():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "results", ".snakemake"} <= set(ignored)
    assert not needed_by_make_setup() & set(ignored)
