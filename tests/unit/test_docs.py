"""Commands, options, targets, paths and links in the docs are ones that exist."""

import argparse
import ast
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from fit.cli.main import COMMANDS, make_parser
from fit.concepts.sheet import read_sheet
from fit.config.read import load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOOLS = ("fit", "snakemake", "make", "python")
NEW_STUDY = "painters-study"
"""A study that pages make as an example, and its folder."""
PLACES = {
    "counts": ("corpora", "domains"),
    "captions": ("corpora", "domains"),
    "images": ("corpora", "domains", "concepts"),
    "matches": ("corpora", "domains", "concepts"),  # of a domain too, see check_place
    "references": ("domains", "concepts"),
    "generated": ("models", "domains", "concepts"),
    "scores": ("models", "domains", "concepts"),
    "thresholds": ("models", "domains"),
    "sensitivity": ("models", "domains"),
    "missed": (None, "domains"),  # first a corpus or a model
    "alternatives": ("models", "domains"),
    "embeddings": ("embedders", None, "domains", "concepts"),
    "photographs": ("domains",),
    "reports": ("studies",),
    "explorer": ("studies",),  # or pictures and excluded, see check_place
    "atelier": (),
    "truth": (),
    "defences": (),
    "copies": (),  # models/MODEL, or atelier
    "poisoning": (),
    "attacks": (),
    "cache": (),
    "logs": (),
}
"""Folder below results/ -> what the folders and files in it are named after, in order."""


class UnknownError(Exception):
    """A page names something that does not exist."""


@cache
def config():
    """Return config.yaml as the workflow checks it."""
    return load(ROOT / "config.yaml")


@cache
def slugs(domain):
    """Return the slugs on the sheet of a domain."""
    return {concept.slug for concept in read_sheet(ROOT / config().domains[domain].concepts)}


# --- finding --------------------------------------------------------------------------------------------------------


def blocks_of(text):
    """Return the lines of the fenced and indented blocks of `text`, continued lines joined; and the other text."""
    blocks, rest, fenced, block = [], [], False, False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or (line.startswith("    ") and (block or not rest or not rest[-1].strip())):
            block = not fenced
            blocks.append(line.strip())
        else:
            block = block and not line.strip()
            rest.append(line)
    return "\n".join(blocks).replace("\\\n", " ").splitlines(), "\n".join(rest)


def commands_of(text):
    """Yield (command, whether it is in a block) of each command in `text`: an inline command may be only a name."""
    lines, rest = blocks_of(text)
    inline = [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", rest)]
    for command, whole in [(line, True) for line in lines] + [(found, False) for found in inline]:
        if command.split(" ")[0] in TOOLS and not any(mark in command for mark in ("...", "…", " {")):
            yield re.sub(r"[\[\]]", "", command) if not whole else command, whole


# --- checking -------------------------------------------------------------------------------------------------------


def parse(parser, words):
    """Return what `parser` reads from `words`; raise UnknownError with its message if they are an error."""

    def error(message):
        raise UnknownError(message)

    for each in parsers_of(parser):
        each.error = error
    return parser.parse_args(words)


def parsers_of(parser):
    """Yield `parser` and the parsers of its commands, however deep."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers_of(below)


def check_fit(words, whole, studies=frozenset()):
    """Check a command of the package; if not `whole`, arguments may be missing, but those that are there must exist.

    A command with a value after its name is whole too: it is there to be typed, and not to name the command.
    `studies` are those that the page itself declares.
    """
    if words[-1:] in (["--help"], ["--version"]):
        return
    named = words[0] if words else None
    parser, rest = make_parser(named), list(words)
    while rest and (groups := [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]):
        if rest[0] not in groups[0].choices:
            raise UnknownError(f"{rest[0]} is not a command")
        parser = groups[0].choices[rest.pop(0)]
    known = {flag for action in parser._actions for flag in action.option_strings}
    if unknown := [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]:
        raise UnknownError(f"{unknown} of `fit {shlex.join(words)}`")
    try:
        args = parse(make_parser(named), words)
    except UnknownError as error:
        if whole or (rest and not rest[0].startswith("-")) or "arguments are required" not in str(error):
            raise
        return
    study = getattr(args, "study", None)
    if study and not study.isupper() and study not in {*config().studies, *studies, NEW_STUDY}:
        raise UnknownError(f"study {study}")


def check_snakemake(words):
    """Check a command line of Snakemake: its options exist; its targets are rules, or results that the config knows."""
    from snakemake.cli import get_argument_parser

    args = parse(get_argument_parser(), words)
    for target in args.targets:
        if target.startswith("results/"):
            check_place(target)
        elif target not in rules():
            raise UnknownError(f"{target} is not a rule")
    for profile in args.profile or []:
        if not (ROOT / profile / "config.yaml").exists():
            raise UnknownError(f"profile {profile}")


RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


@cache
def rules():
    """Return the names of all rules."""
    named = r"^(?:rule|use rule \w+ as) (\w+)"
    return {rule for path in RULES for rule in re.findall(named, path.read_text(encoding="utf-8"), re.M)}


def check_make(words):
    """Check targets of the Makefile."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    if unknown := set(words) - set(targets):
        raise UnknownError(f"make {unknown}")


def check_python(words):
    """Check that a script of this repository exists and has the options."""
    script = ROOT / words[0]
    if not words[0].startswith(("benchmarks/", "tests/")) or not script.exists():
        raise UnknownError(words[0])
    calls = [node for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    adding = [call for call in calls if getattr(call.func, "attr", "") == "add_argument"]
    known = {flag.value for call in adding for flag in call.args if isinstance(flag, ast.Constant)}
    if unknown := [word for word in words[1:] if word.startswith("--") and word.partition("=")[0] not in known]:
        raise UnknownError(f"{unknown} of {words[0]}")


def check_command(command, whole=True, studies=frozenset()):
    """Raise UnknownError if `command` names something that does not exist."""
    tool, *words = shlex.split(command, comments=True)
    piped = next((at for at, word in enumerate(words) if word in ("|", ">")), len(words))
    words = words[:piped]  # what a shell does with the output is not the command's
    if tool == "fit":
        check_fit(words, whole, studies)
    elif words:
        {"snakemake": check_snakemake, "make": check_make, "python": check_python}[tool](words)


def check_place(place, studies=frozenset()):
    """Raise UnknownError if a path below results/ is not one of the config's, or its concept is not on the sheet."""
    kind, *parts = place.removeprefix("results/").strip("/").split("/")
    if kind.startswith("{"):
        return
    if kind not in PLACES:
        raise UnknownError(f"results/{kind}")
    domain, named_after = None, PLACES[kind]
    if kind == "scores" and parts[0] == "null":  # of other concepts' pictures, in folders of the same names
        parts = parts[1:]
    if kind == "explorer" and parts[0] in ("pictures", "excluded"):
        parts, named_after = parts[1:], PLACES["scores"]
    if kind == "matches" and len(parts) == 1 and "." in parts[0]:  # a threshold of a domain, for every corpus
        named_after = ("domains",)
    for part, of in zip(parts, named_after, strict=False):
        if of is None or part[:1] in "{*<" or (of == "concepts" and re.match(r"part_\d{3}\b|candidates$", part)):
            continue
        known = getattr(config(), of) if of != "concepts" else slugs(domain) if domain else [part]
        name = part if part in known else part.split(".")[0]
        if name not in known and not (of == "studies" and name in {*studies, NEW_STUDY}):
            raise UnknownError(f"{name} of {place} is not one of the {of}")
        domain = name if of == "domains" else domain


def links_of(page):
    """Yield (file of this repository, name of a heading or "") of each link of `page`, and files named in code."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if "://" not in target:
            path, _, heading = target.partition("#")
            yield (page.parent / path if path else page), heading
    folders = "src|rules|workflow|docs|tests|benchmarks|concepts|envs|slurm|profiles"
    for named in re.findall(rf"`((?:{folders})/[^`\s{{}}*]+)`", text):
        yield ROOT / named, ""


def headings_of(path):
    """Return the names by which links reach the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def options():
    """Return every option of the package's commands, and of Snakemake."""
    from snakemake.cli import get_argument_parser

    parsers = [get_argument_parser(), *(make_parser(name) for name in COMMANDS)]
    return {
        flag
        for parser in parsers
        for each in parsers_of(parser)
        for action in each._actions
        for flag in action.option_strings
    }


def studies_of(text):
    """Return the studies that the configurations in a page declare."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, flags=re.S | re.M)]
    return {study for block in blocks if isinstance(block, dict) for study in block.get("studies", ())}


def places_of(text):
    """Return the paths below results/ that `text` names."""
    return [place.rstrip(".,:") for place in re.findall(r"\bresults/[\w.{}*/-]*\w[\w.{}*/-]*", text)]


# --- tests ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_commands_options_targets_and_results_that_exist(page):
    text, wrong = page.read_text(encoding="utf-8"), []
    studies = studies_of(text)
    for check, arguments in [(check_command, found) for found in commands_of(text)] + [
        (check_place, (place,)) for place in places_of(text)
    ]:
        try:
            check(*arguments, studies=studies)
        except (UnknownError, ValueError) as error:
            wrong.append(f"{arguments[0]}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_a_page_links_to_files_and_headings_that_exist(page):
    links = list(links_of(page))
    wrong = [path for path, heading in links if not path.exists() or (heading and heading not in headings_of(path))]
    assert not wrong


def test_a_page_that_messages_comments_and_settings_name_exists():
    files = [
        path
        for name in ("src", "rules", "workflow", "slurm", "profiles", "benchmarks")
        for path in (ROOT / name).rglob("*.*")
    ]
    files = [path for path in files if path.suffix in (".py", ".smk", ".yaml")] + [
        ROOT / "config.yaml",
        ROOT / "Snakefile",
    ]
    named = {
        (str(path.relative_to(ROOT)), page)
        for path in files
        for page in re.findall(r"\bdocs/[\w-]+\.\w+", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 10
    assert [(where, page) for where, page in sorted(named) if not (ROOT / page).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_an_option_that_a_page_names_alone_exists(page):
    _, rest = blocks_of(page.read_text(encoding="utf-8"))
    alone = re.findall(r"`(--[\w-]+)[^`]*`", rest)
    of_scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    of_others = ("--require-hashes", "--torch-backend", "--nv", "--gpus")  # of uv, Apptainer and Docker, in install.md
    known = {*options(), *(of_others if page.name == "install.md" else ())}
    assert [flag for flag in alone if flag not in known and f'"{flag}"' not in of_scripts] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_rule_that_a_page_names_exists(page):
    # Tables between <!-- markers --> were measured, one of them when rules had other names, which the page explains.
    text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", page.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"rules\s+had\s+other\s+names:.*?\n\n", "", text, flags=re.S)
    verbs = {rule.partition("_")[0] for rule in rules() if "_" in rule}
    # What begins like the name of a rule and is not one is an old name.
    named = {word for word in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text) if word.partition("_")[0] in verbs}
    assert named <= rules()


def test_commands_are_found_in_blocks_and_in_lines_and_over_the_end_of_a_line():
    text = "Do\n\n    fit a \\\n      --b  # c\n    make d\n\nor `fit images\nshow FILE`.\n\n```\nsnakemake\n```\n"
    found = list(commands_of(text))
    assert [(shlex.split(command, comments=True), whole) for command, whole in found] == [
        (["fit", "a", "--b"], True),
        (["make", "d"], True),
        (["snakemake"], True),
        (["fit", "images", "show", "FILE"], False),
    ]


@pytest.mark.parametrize(
    "command",
    [
        "fit captoins count",
        "fit captions cuont",
        "fit images show FILE --unpak FOLDER",
        "fit plan no-such-study",
        "snakemake no_such",
        "snakemake --no-such",
        "snakemake --profile no-such paper",
        "snakemake -f results/scores/atelier/painters/ada-morrini.parquet",
        "make nothing",
        "python benchmarks/nothing.py",
        "python tests/nothing.py",
        "python tests/kill.py --kils 8",
        "python benchmarks/captions.py --rwos 8",
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_command_that_does_not_exist_is_found(command, whole):
    with pytest.raises(UnknownError):
        check_command(command, whole)


def test_a_command_whose_output_goes_elsewhere_is_looked_at_up_to_there():
    check_command("fit completion fish | source")
    check_command("fit answer --json > answer.json")
    with pytest.raises(UnknownError):
        check_command("fit completion fsh | source")


def test_a_study_that_a_page_declares_is_known_on_that_page_alone():
    studies = studies_of("```yaml\nstudies: {mine: {models: [m]}}\n```\n")
    assert studies == {"mine"}
    check_command("fit check mine", studies=studies)
    check_place("results/reports/mine/report.md", studies=studies)
    for check, named in ((check_command, "fit check mine"), (check_place, "results/reports/mine/report.md")):
        with pytest.raises(UnknownError):
            check(named)


def test_a_command_with_a_value_needs_its_other_arguments_too():
    check_command("fit concepts fetch --out FILE", whole=False)  # an option of it is what is spoken of
    check_command("fit concepts fetch paper-classical-artists --out FILE", whole=False)
    with pytest.raises(UnknownError, match="--out"):
        check_command("fit concepts fetch paper-classical-artists", whole=False)


def test_a_command_in_a_block_needs_its_arguments():
    check_command("fit images retry", whole=False)
    with pytest.raises(UnknownError):
        check_command("fit images retry", whole=True)


@pytest.mark.parametrize(
    "place",
    [
        "results/scores/atelier/painters/ada-morrini.png",
        "results/nothing/atelier",
        "results/counts/laion2b-en/painters.parquet",
        "results/scores/sd9/painters.parquet",
        "results/thresholds/sd1.1/painter.json",
        "results/paper/paper/report.md",
        "results/reports/nothing/report.md",
        "results/cuts/painters.json",
        "results/matches/painter.threshold.json",
        "results/scores/atelier/painters/part_0.parquet",
    ],
)
def test_a_result_that_no_study_has_is_found(place):
    with pytest.raises(UnknownError):
        check_place(place)


@pytest.mark.slow
def test_snakemake_plans_what_the_readme_asks_it_for(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    attacked = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["attacks"]["concepts"]
    (tmp_path / "concepts").mkdir()
    for sheet in (ROOT / "concepts").glob("*.tsv"):  # some of each, and those that the page and config.yaml name
        header, *rows = sheet.read_text(encoding="utf-8").splitlines(keepends=True)
        slugs = [row.split("\t")[0] for row in rows]
        kept = [n < 4 or f"/{slug}." in readme or slug in attacked for n, slug in enumerate(slugs)]
        some = [row for row, keep in zip(rows, kept, strict=True) if keep]
        (tmp_path / "concepts" / sheet.name).write_text(header + "".join(some), encoding="utf-8")
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    lines, _ = blocks_of(readme)
    asked = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("snakemake")]
    targets = list(dict.fromkeys(word for words in asked for word in words if not word.startswith("-")))

    def plan(*targets):
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--dry-run", "--quiet"]
        profile = ["--workflow-profile", str(ROOT / "profiles/default")]
        words = [*command, "rules", *profile, "--", *targets]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)

    assert "paper" in targets and len(targets) >= 5
    done = plan(*targets)
    assert done.returncode == 0, done.stdout + done.stderr
    assert plan("no_such").returncode != 0
