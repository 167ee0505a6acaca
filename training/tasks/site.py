"""What will a store at this site sell in a year (选址), how sure is that, and what does it take from its neighbours?"""

from __future__ import annotations

from data.world.example import small_world
from training.sites.members import Recipe
from training.sites.task import SiteTask
from training.task import Example

MORE_SELLS_MORE = (
    "sales_floor_m2",
    "population_1000m",
    "population_decayed_3000m",
    "footfall_decayed_3000m",
    "huff_market_people",
)
"""More floor, people, passers and a larger share of them never make a store sell less; of rivals nearby nobody knows,
since they both compete and draw.
"""

TASK = SiteTask(
    name="site",
    recipe=Recipe(more_sells_more=MORE_SELLS_MORE),
    example=Example("world", "simulate a small world", small_world),
)
