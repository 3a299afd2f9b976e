"""What the screen shows while the workflow runs: stages, remarks and failures, instead of every job."""

import io
import logging
import re
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import MockOutputSettings, TestLogHandlerBase

import snakemake_logger_plugin_fit as plugin
from snakemake_logger_plugin_fit.stages import MILESTONES, STAGES, order

ROOT = Path(__file__).parents[2]
KNOWN = {rule for _, rules in STAGES for rule in rules}


def rules_of_the_workflow():
    """Return the names of the rules in rules/."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    return set(re.findall(r"^ *(?:use )?rule (?:\w+ as )?(\w+)(?: with)?:", text, re.M))


def test_every_rule_of_the_workflow_has_words():
    there = rules_of_the_workflow()
    assert len(there) > 35
    assert there - KNOWN - set(MILESTONES) == set()
    assert KNOWN - there == set(), "words of rules that are gone"


def test_stages_are_in_the_order_of_the_data_and_unknown_ones_last():
    assert order(["report_study", "all", "train_generator", "new_rule"]) == [
        "training the generator",
        "writing the report",
        "new rule",
    ]


class TestTheInterface(TestLogHandlerBase):
    """Snakemake's own tests of a logger plugin."""

    __test__ = True

    def get_log_handler_cls(self):
        return plugin.LogHandler

    def get_log_handler_settings(self):
        return plugin.LogHandlerSettings()


class Screen(io.StringIO):
    def __init__(self, tty):
        super().__init__()
        self.isatty = lambda: tty


class Run:
    """A run of Snakemake, as the plugin hears of it."""

    def __init__(self, folder, monkeypatch, tty=False, **settings):
        self.folder = folder
        self.screen = Screen(tty)
        monkeypatch.setattr("sys.stderr", self.screen)
        common = MockOutputSettings()
        common.printshellcmds = False
        for key, value in settings.items():
            setattr(common, key, value)
        self.handler = plugin.LogHandler(common, plugin.LogHandlerSettings())

    def say(self, event, msg="", level=logging.INFO, **extra):
        record = logging.LogRecord("snakemake", level, "", 0, msg, (), None)
        record.__dict__.update(extra, event=event)
        self.handler.handle(record)

    def begin(self, **stats):
        self.say(LogEvent.RUN_INFO, "Job stats:", stats=stats | {"total": sum(stats.values())})

    def start(self, jobid, rule, log=None, **wildcards):
        path = self.folder / f"{jobid}.log"
        if log is not None:
            path.write_bytes(log.encode())
        self.say(LogEvent.JOB_INFO, jobid=jobid, rule_name=rule, wildcards=wildcards, log=[str(path)])

    def finish(self, jobid):
        self.say(LogEvent.JOB_FINISHED, job_id=jobid)

    def fail(self, jobid, rule, *others):
        log = [str(self.folder / f"{jobid}.log"), *others]
        self.say(LogEvent.JOB_ERROR, "Error in rule", logging.ERROR, jobid=jobid, rule_name=rule, log=log, aux={})

    def shown(self):
        return self.screen.getvalue()


@pytest.fixture
def run(tmp_path, monkeypatch):
    return Run(tmp_path, monkeypatch)


def test_seven_hundred_jobs_are_a_few_lines(run):
    run.begin(all=1, score_imitation=600, embed_images=150, report_study=1)
    for jobid in range(150):
        run.start(jobid, "embed_images", log="embedding: 100%|##| 3/3 [00:01]\n")
        run.finish(jobid)
    for jobid in range(150, 750):
        run.start(jobid, "score_imitation", concept=f"c{jobid}")
        run.finish(jobid)
        run.say(None, "Select jobs to execute...")
        run.say(None, f"Job {jobid} has been submitted with SLURM jobid {jobid} (log: x).")
    run.start(751, "report_study")
    run.finish(751)
    run.handler.close()
    lines = run.shown().splitlines()
    assert lines[0].startswith("751 jobs in 3 stages; the full log: ")
    assert [re.sub(r"done in .*", "done", line) for line in lines[1:]] == [
        "stage 1 of 3: embedding images",
        "stage 1 of 3: embedding images, done",
        "stage 2 of 3: scoring the imitation",
        "stage 2 of 3: scoring the imitation, done",
        "stage 3 of 3: writing the report",
        "stage 3 of 3: writing the report, done",
    ]


def test_a_terminal_shows_how_far_a_long_job_is(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch, tty=True)
    run.begin(train_generator=1, report_study=1)
    run.start(1, "train_generator", log="generator:  20%|#| 2/10 [00:01]\rgenerator:  60%|###| 6/10 [00:01<00:01]")
    run.handler.stages["training the generator"].started -= 70
    run.handler._redraw()
    # A quarter of the training is the autoencoder's: 60 % of the rest is 70 % of the whole, 30 of 100 seconds are left.
    assert "stage 1 of 2: training the generator, 70 %, about 30 seconds left" in run.shown()
    run.handler.close()


def test_remarks_of_jobs_reach_the_screen_once_and_not_endlessly(run):
    run.begin(select_references=30)
    for jobid in range(30):
        run.start(
            jobid, "select_references", log=f"a line\nfit: the same for all\nx: 9%|# | 1/9 [0]fit: person-{jobid}\n"
        )
        run.finish(jobid)
    run.handler.close()
    shown = run.shown()
    assert shown.count("fit: the same for all") == 1
    assert shown.count("fit: person-") == plugin.MOST_REMARKS - 1
    assert f"and {31 - plugin.MOST_REMARKS} more remarks" in shown


def test_a_failed_job_shows_what_it_did_of_whom_and_the_end_of_its_log(run):
    run.begin(score_imitation=9)
    run.start(1, "score_imitation", log="".join(f"line {i}\n" for i in range(99)) + "fit: no scores\n", concept="ada")
    run.say(LogEvent.ERROR, "RuleException:\nCalledProcessError in file x", logging.ERROR, exception="RuleException")
    run.fail(1, "score_imitation")
    run.say(None, "Exiting because a job execution failed. Look above for error messages", logging.ERROR)
    run.say(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR)
    run.handler.close()
    shown = run.shown()
    assert "failed while scoring the imitation: score_imitation (concept ada)" in shown
    assert "    line 80\n" in shown and "    line 98\n    fit: no scores\n" in shown and "line 79" not in shown
    assert str(run.folder / "1.log") in shown
    assert "0 of 9 jobs done, 1 failed" in shown
    assert "RuleException" not in shown and "At least one job" not in shown
    assert len(shown.splitlines()) < 30


@pytest.mark.parametrize("last", ["fit: counts.csv, line 3: no", "ValueError: no"])
def test_of_a_job_that_says_why_nothing_is_guessed(run, last):
    run.begin(score_imitation=1)
    run.start(1, "score_imitation", log=f"line\n{last}\n", concept="ada")
    run.fail(1, "score_imitation")
    assert last in run.shown() and "something killed it" not in run.shown()


def test_many_failures_fit_a_page(run):
    run.begin(score_imitation=500)
    for jobid in range(500):
        run.start(jobid, "score_imitation", log="a\n" * 99, concept=f"c{jobid}")
    for jobid in range(500):
        run.fail(jobid, "score_imitation")
    run.say(None, "Exiting because a job execution failed.", logging.ERROR)
    run.handler.close()
    assert "and 487 more failed jobs in" in run.shown()
    assert len(run.shown().splitlines()) < 100


def test_a_job_whose_log_is_not_there_yet_fails_legibly(run):
    run.begin(score_imitation=1)
    run.start(1, "score_imitation", concept="ada")
    run.fail(1, "score_imitation", "queue.log")
    assert "its log is empty or does not exist" in run.shown()
    assert "something killed it; if no person did, memory ran out" in run.shown()
    assert "see also: queue.log" in run.shown()


def test_an_endless_message_is_cut_and_the_file_with_the_rest_is_named(run):
    run.say(LogEvent.ERROR, "MissingInputException\n" + "a file\n" * 266_590, logging.ERROR, exception="WorkflowError")
    assert len(run.shown().splitlines()) == plugin.LONGEST + 1
    assert "more lines in" in run.shown()


@pytest.mark.parametrize("settings", [{}, {"dryrun": True}, {"quiet": {"progress"}}], ids=str)
def test_a_target_that_no_rule_makes_is_explained_in_place_of_the_words_of_snakemake(tmp_path, monkeypatch, settings):
    from snakemake.exceptions import MissingRuleException, print_exception
    from snakemake.logging import logger

    run = Run(tmp_path, monkeypatch, nocolor=True, **settings)
    monkeypatch.setattr(plugin, "explained", lambda target: f"fit: {target} is not a milestone")
    for name in ("error", "critical"):  # what Snakemake itself makes of the exception
        monkeypatch.setattr(logger, name, lambda text, **_: run.say(LogEvent.ERROR, str(text), logging.ERROR))
    print_exception(MissingRuleException("no such.json"), {})
    assert run.shown() == "fit: no such.json is not a milestone\n"


def test_what_the_workflow_says_at_its_end_is_shown_also_where_nothing_is_to_be_done(run, monkeypatch):
    monkeypatch.setattr(plugin, "answer", lambda: ["m begins to imitate people"])
    run.say(None, "Nothing to be done (all requested files are present and up to date).")
    assert run.shown().splitlines()[-2:] == [
        "Nothing to be done (all requested files are present and up to date).",
        "m begins to imitate people",
    ]
    run.begin(report_study=1)
    run.say(None, "m begins again", fit=True)
    assert run.shown().endswith("m begins again\n")


def test_lints_and_other_words_before_a_run_are_shown(run):
    run.say(None, "Congratulations, your workflow is in a good condition!")
    assert "Congratulations" in run.shown()


@pytest.mark.parametrize("setting", ["dryrun", "verbose", "printshellcmds"])
def test_whoever_asks_for_more_gets_the_log_of_snakemake(tmp_path, monkeypatch, setting):
    run = Run(tmp_path, monkeypatch, nocolor=True, **{setting: True})
    run.say(LogEvent.RUN_INFO, "Job stats:\njob    count\n", stats={"total": 0})
    assert "Job stats:" in run.shown()


def test_plain_is_the_log_of_snakemake_with_the_remarks_and_the_answer(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch, nocolor=True, printshellcmds=True)
    monkeypatch.setattr(plugin, "answer", lambda: ["m begins to imitate people"])
    more = {"rule_msg": "", "local": False, "is_checkpoint": False, "input": [], "output": [], "benchmark": None}
    more |= {"reason": "", "priority": 0, "threads": 1, "resources": {}}
    (tmp_path / "1.log").write_text("fit: a remark\n")
    run.say(
        LogEvent.JOB_INFO, jobid=1, rule_name="score_imitation", wildcards={}, log=[str(tmp_path / "1.log")], **more
    )
    run.finish(1)
    run.say(None, "Nothing to be done (all requested files are present and up to date).")
    assert "rule score_imitation:" in run.shown()
    assert "fit: a remark" in run.shown() and run.shown().endswith("m begins to imitate people\n")


def test_quiet_is_quiet(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch, quiet={"all"})
    run.begin(report_study=1)
    run.start(1, "report_study", log="fit: a remark\n")
    run.finish(1)
    run.handler.close()
    assert run.shown() == ""
