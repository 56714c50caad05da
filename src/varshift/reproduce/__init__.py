"""The networks, recipe, tables and figures of arXiv 1801.05134, and its claims judged."""

from varshift.reproduce.book import Book
from varshift.reproduce.claims import judged
from varshift.reproduce.experiments import EXPERIMENTS, Experiment, chosen, runs_of
from varshift.reproduce.imagenet import imagenet_recipe, imagenet_sheet
from varshift.reproduce.nets import PAPER, Placing, Shape, build
from varshift.reproduce.on_ray import work_on_ray
from varshift.reproduce.one import Job
from varshift.reproduce.pages import sheets, write_page
from varshift.reproduce.recipe import PAPER_RECIPES, Recipe
from varshift.reproduce.records import RecordFile, read_lines
from varshift.reproduce.run import Images, Run
from varshift.reproduce.scales import SCALES, Scale, scale_named, scale_of
from varshift.reproduce.slips import slips
from varshift.reproduce.store import Store
from varshift.reproduce.working import work

__all__ = [
    "EXPERIMENTS",
    "PAPER",
    "PAPER_RECIPES",
    "SCALES",
    "Book",
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
    "build",
    "chosen",
    "imagenet_recipe",
    "imagenet_sheet",
    "judged",
    "read_lines",
    "runs_of",
    "scale_named",
    "scale_of",
    "sheets",
    "slips",
    "work",
    "work_on_ray",
    "write_page",
]
