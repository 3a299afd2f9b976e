"""The configuration: what config.yaml may say, and what a study is made of."""
