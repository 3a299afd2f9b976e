"""What the workflow plans, without running it."""

import pyarrow as pa
import pyarrow.parquet as pq

from fit.config.read import load

MODELS = ("sd1.1", "sd1.5", "sd2.1")
PEOPLE, ARTISTS = ("celebrities", "politicians"), ("classical_artists", "modern_artists")


def test_the_papers_studies_are_planned(workplace):
    for corpus in ("laion2b-en", "laion5b"):
        (workplace.folder / "data" / corpus).mkdir(parents=True)
        pq.write_table(
            pa.table({"URL": ["u"], "TEXT": ["t"]}), workplace.folder / "data" / corpus / "part-00000.parquet"
        )
    for domain in PEOPLE + ARTISTS:
        (workplace.folder / "data/references" / domain).mkdir(parents=True)
    pq.write_table(pa.table({"image_id": ["x"], "bytes": [b""]}), workplace.folder / "data/photographs.parquet")
    planned = workplace.planned("paper")
    config = load(workplace.folder / "config.yaml")

    def parts(of, *names):
        return sum(len(config.partition_of(f"{of}/{name}").parts) for name in names)

    made = [f"{model}/{domain}" for model in MODELS for domain in PEOPLE + ARTISTS]
    assert planned["generate_images"] == parts("generated", *made) <= 12 * 200
    assert planned["score_imitation"] == 4 * 7 * 3  # 64 concepts a job, about
    assert planned["detect_threshold"] == 12
    assert planned["scale_counts"] == 4
    assert planned["collect_images"] == parts("images/laion2b_en", *PEOPLE, *ARTISTS) <= 4 * 200
    # Training images (styles by the art filter too), generated images; references, 7 jobs a domain, and photographs.
    training = parts("images/laion2b_en", *PEOPLE) + 2 * parts("images/laion2b_en", *ARTISTS)
    generated = parts("embeddings/EMBEDDER/generated", *made)
    assert 12 * 35 <= generated <= 12 * 40  # 10,000 pictures a job, about
    assert planned["embed_images"] == training + generated + (4 + 2) * 7 + 2


def test_a_job_embeds_the_tables_of_several_jobs_that_generate(workplace):
    """A concept alone is embedded from a table of its own."""
    workplace.config["domains"]["painters"].pop("concepts_per_job")
    workplace.config["models"]["atelier"]["images_per_prompt"] = 200
    embeddings = "results/embeddings/atelier-style/generated/atelier/painters"
    planned = workplace.planned(f"{embeddings}/part_000.parquet")
    assert 5 < planned["generate_images"] < 20 and planned["embed_images"] == 1
    slug = load(workplace.folder / "config.yaml").slugs("painters")[0]
    planned = workplace.planned(f"{embeddings}/{slug}.parquet")
    assert planned["generate_images"] == planned["embed_images"] == 1


def test_the_page_of_a_study_is_planned_with_its_sensitivity(workplace):
    planned = workplace.planned("sensitivity")
    assert planned["rescore_imitation"] == planned["score_imitation"] == 1
    assert planned["measure_sensitivity"] == planned["list_outliers"] == 1
    assert "build_explorer" not in planned
    page = {
        "rescore_imitation",
        "measure_sensitivity",
        "list_outliers",
        "select_pictures",
        "gather_study",
        "build_explorer",
    }
    for planned in (workplace.planned("explorer"), workplace.planned()):
        assert {name: count for name, count in planned.items() if name in page} == dict.fromkeys(page, 1)


def test_a_profile_may_say_how_many_concepts_share_a_job(workplace):
    profile = workplace.folder / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text("config:\n  - 'domains={painters: {concepts_per_job: 12}}'\n")
    planned = workplace.planned("--profile", str(profile))
    assert planned["generate_images"] == planned["score_imitation"] == 4


def test_planning_imports_no_torch(workplace):
    for name in ("torch", "diffusers", "open_clip"):
        (workplace.folder / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')\n")
    workplace.environment = {"PYTHONPATH": str(workplace.folder)}
    assert workplace.planned()["generate_images"] == 1


def test_bad_configuration_is_told_without_a_plan(workplace):
    workplace.config["treshold"] = {}
    output = workplace.fails("-n")
    assert "config.yaml: `treshold` is not a known key; did you mean `threshold`?" in output
    assert not (workplace.folder / "results").exists()


def test_a_study_of_an_absent_domain(workplace):
    workplace.config["studies"]["atelier"]["domains"] = ["sculptors"]
    assert "`studies.atelier.domains` names 'sculptors', which `domains` lacks" in workplace.fails("-n")


def test_a_bad_sheet(workplace):
    (workplace.folder / "twice.tsv").write_text("concept\tname\na\tA\na\tB\n")
    workplace.config["domains"]["celebrities"]["concepts"] = "twice.tsv"
    output = workplace.fails("-n")
    assert "twice.tsv, line 3: concept 'a' is in line 2 too" in output
    assert "Traceback" not in output
