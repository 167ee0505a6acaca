"""Which categories each member will buy from next: `next_purchase`, of categories."""

from __future__ import annotations

from training.tasks.next_purchase import CATEGORY

TASK = CATEGORY
