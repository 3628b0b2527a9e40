"""Training data, trainers and evaluation."""

import models  # noqa: F401  (sets how torch's threads wait, before torch is imported)
