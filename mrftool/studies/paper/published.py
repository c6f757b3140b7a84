"""The numbers that the paper printed: log10 MSE of its seven methods.

They are no measure of ours: see CAVEATS.
"""

# Why a ratio of our error to the printed one says nothing, by set.
CAVEATS = {
    "phantom": "on another phantom",
    "anatomical": "averaged over batches rather than over voxels",
}

# By (table, set) and method.
PUBLISHED: dict[tuple[str, str], dict[str, float]] = {
    ("table1", "phantom"): {
        "matching": 18.6652,
        "fc": 0.0554,
        "rnn": 0.0486,
        "hydra": 0.1597,
        "fc-fc": 0.0519,
        "rnn-rnn": 0.0443,
        "blochnet": 0.0409,
    },
    ("table1", "anatomical"): {
        "matching": 19.4883,
        "fc": 0.0812,
        "rnn": 0.092,
        "hydra": 0.3088,
        "fc-fc": 0.0801,
        "rnn-rnn": 0.0889,
        "blochnet": 0.0748,
    },
    ("table2", "phantom"): {
        "matching": 27.1955,
        "fc": 0.8415,
        "rnn": 0.7973,
        "hydra": 0.3593,
        "fc-fc": 0.7018,
        "rnn-rnn": 0.6148,
        "blochnet": 0.1574,
    },
    ("table2", "anatomical"): {
        "matching": 16.6151,
        "fc": 0.7305,
        "rnn": 1.06603,
        "hydra": 0.695,
        "fc-fc": 0.4081,
        "rnn-rnn": 0.9385,
        "blochnet": 0.2667,
    },
}
