"""The explorer: one page on which a study is understood, and the datasheet that can be handed over."""
