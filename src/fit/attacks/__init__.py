"""Attacks: prompts and ways of sampling with which a model may imitate a concept without being asked by its name."""

REGISTRY = {
    "named": "fit.attacks.named:Named",
    "indirect": "fit.attacks.indirect:Indirect",
    "described": "fit.attacks.described:Described",
    "arithmetic": "fit.attacks.arithmetic:Arithmetic",
    "prefix": "fit.attacks.prefixed:Prefixed",
}
"""Name in `attacks.attacks` of config.yaml -> class of fit.attacks.base.Attack. A new one is a file and a line here."""
VERSIONS = {
    "rank_words": 1,
    "find_prefix": 1,
    "plan_attacks": 1,
    "score_attack": 1,
    "tabulate_attacks": 2,
    "compare_attacks": 1,
    "plot_attacks": 1,
}
"""Stage -> the version of what it computes; a new version runs the stage again."""
