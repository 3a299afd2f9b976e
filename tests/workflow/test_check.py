"""What stops a study is said on one screen, before its first job."""


def test_missing_inputs_are_listed_on_one_screen(workplace):
    workplace.config["default_study"] = "paper"
    output = workplace.fails()
    assert "study paper can't be made" in output
    assert "data/references/celebrities: put it there" in output
    assert "MissingInputException" not in output and "Traceback" not in output
    assert len(output.splitlines()) < 60


def test_a_missing_pipeline_is_one_line_also_for_a_named_file(workplace):
    workplace.config["models"]["atelier"]["pipeline"] = "./nowhere"
    for target in ((), ("results/generated/atelier/painters/sander-belberg.parquet",)):
        output = workplace.fails(*target)
        assert "nowhere" in output and "`models.atelier.pipeline`" in output
        assert "MissingInputException" not in output
    assert workplace.planned()["generate_images"] == 1


def test_an_error_of_a_second_file_names_that_file(workplace):
    (workplace.folder / "mine.yaml").write_text("models: {atelier: {stepps: 3}}\n")
    output = workplace.fails("-n", "--configfile", "mine.yaml")
    assert "mine.yaml: `models.atelier.stepps` is not a known key; did you mean `steps`?" in output
    (workplace.folder / "mine.yaml").write_text("seed: 1\nseed: 2\n")
    output = workplace.fails("-n", "--configfile", "mine.yaml")
    assert "mine.yaml, line 2: the key `seed` is in line 1 too" in output
    assert "--config: `seed`" in workplace.fails("-n", "--config", "seed=abc")
