"""The networks, recipe, tables and figures of arXiv 1801.05134, and its claims judged."""

from varshift.reproduce.book import Book, books
from varshift.reproduce.experiments import (
    EXPERIMENTS,
    Experiment,
    chosen,
    judged,
    narrowed,
    runs_of,
)
from varshift.reproduce.imagenet import imagenet_recipe, imagenet_table
from varshift.reproduce.nets import PAPER, Placing, Shape, build
from varshift.reproduce.on_ray import work_on_ray
from varshift.reproduce.one import Job
from varshift.reproduce.pages import write_page
from varshift.reproduce.power import power_table
from varshift.reproduce.precision import wish_named
from varshift.reproduce.recipe import PAPER_RECIPES, Recipe
from varshift.reproduce.records import RecordFile, read_lines
from varshift.reproduce.run import Images, Run
from varshift.reproduce.scales import SCALES, Budget, Scale, of_scale, scale_named, scale_of
from varshift.reproduce.slips import slip_table, slips
from varshift.reproduce.store import Store
from varshift.reproduce.telling import alone, listing, report
from varshift.reproduce.working import work

__all__ = [
    "EXPERIMENTS",
    "PAPER",
    "PAPER_RECIPES",
    "SCALES",
    "Book",
    "Budget",
    "Experiment",
    "Images",
    "Job",
    "Placing",
    "Recipe",
    "RecordFile",
    "Run",
    "Scale",
    "Shape",
    "Store",
    "alone",
    "books",
    "build",
    "chosen",
    "imagenet_recipe",
    "imagenet_table",
    "judged",
    "listing",
    "narrowed",
    "of_scale",
    "power_table",
    "read_lines",
    "report",
    "runs_of",
    "scale_named",
    "scale_of",
    "slip_table",
    "slips",
    "wish_named",
    "work",
    "work_on_ray",
    "write_page",
]
