"""What a run ends with: the answer of the study that was asked for, or what a milestone has made and where."""


def what_was_made():
    """Return the answer of the study that was asked for, or what a milestone has made and where, in lines."""
    from fit.alternatives import load
    from fit.thresholds.answer import of_targets

    if workflow.execution_settings.no_hooks:
        return []
    jobs = sorted(workflow.dag.targetjobs, key=lambda job: str(job.rule.name))
    targets = [("", job.output) if job.output else (job.rule.name, job.input) for job in jobs]
    try:
        return [*of_targets(CONFIG, targets, lambda name: load(name).label), *papers_list(targets)]
    except FitError as error:
        return [f"fit: {error}"]


def papers_list(targets):
    """Return the list of the paper's tables and figures, in lines, of each study whose list was asked for."""
    pages = [Path(path) for _, files in targets for path in files if Path(path).name == "paper.md"]
    if not pages:
        return []
    from fit.reports.paper import read_list, said

    return [line for page in pages if page.exists() for line in said(read_list(page.with_name("list.tsv")))]


# Snakemake calls no handler if there is nothing to do; the logger of profiles/default asks for the answer then.
if workflow.is_main_process:
    snakemake_logger_plugin_fit.answer = what_was_made


onsuccess:
    logger.info("\n".join(what_was_made()), extra={"fit": True})
