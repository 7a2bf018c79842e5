"""Named regressions: histories that broke something once, step by step, and stay for ever."""
