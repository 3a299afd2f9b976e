"""Lays a datasheet out as PDF, on A4, with fonts that the file carries."""

import io
import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib
from fontTools.ttLib import TTLibError
from fpdf import FPDF, FontFace, TextStyle
from fpdf.enums import MethodReturnValue, TableBordersLayout, WrapMode
from fpdf.fonts import TTFFont
from PIL import Image

from fit.errors import FitError
from fit.explorer.datasheet_blocks import (
    Block,
    Bullets,
    Code,
    Datasheet,
    Figure,
    Grid,
    Section,
    Text,
    Thumbnail,
    Thumbnails,
)
from fit.explorer.datasheet_figure import HEIGHT, WIDTH

SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"
FILES = {
    (SANS, ""): "DejaVuSans.ttf",
    (SANS, "B"): "DejaVuSans-Bold.ttf",
    (SANS, "I"): "DejaVuSans-Oblique.ttf",
    (MONO, ""): "DejaVuSansMono.ttf",
}
"""(family, style) -> file that matplotlib has."""
INK, GREY, LINE, ACCENT = (31, 41, 51), (82, 96, 109), (203, 210, 217), (168, 67, 0)
MARGIN, SIZE, CELL_SIZE, CODE_SIZE = 16, 9.5, 8, 6.5
PICTURE = 24
"""Width and height of a thumbnail, in mm."""
RATIO = HEIGHT / WIDTH

logging.getLogger("fpdf.svg").setLevel(logging.ERROR)
logging.getLogger("fontTools.subset").setLevel(logging.ERROR)


class _Page(FPDF):
    """Pages with the title at the head, and the number at the foot."""

    sheet: Datasheet

    def header(self) -> None:
        """Write the title, but for the first page, which has it as a heading."""
        if self.page_no() == 1:
            return
        self.set_font(SANS, "", 7)
        self.set_text_color(*GREY)
        text = self.sheet.title if len(self.sheet.title) <= 110 else f"{self.sheet.title[:109]}..."
        self.cell(0, 4, text, align="L")
        self.ln(8)
        self.set_text_color(*INK)

    def footer(self) -> None:
        """Write the number of the page, and of how many."""
        self.set_y(-14)
        self.set_font(SANS, "", 7)
        self.set_text_color(*GREY)
        self.cell(0, 4, f"{self.sheet.study}, {self.sheet.date}"[:110], align="L")
        self.set_x(MARGIN)
        self.cell(0, 4, f"{self.page_no()} / {{nb}}", align="R")
        self.set_text_color(*INK)


def _document(sheet: Datasheet, fonts: Sequence[str | Path]) -> _Page:
    page = _Page(format="A4")
    page.sheet = sheet
    page.set_margins(MARGIN, 14, MARGIN)
    page.set_auto_page_break(True, margin=20)
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    for (family, style), name in FILES.items():
        page.add_font(family, style, folder / name)
    for number, path in enumerate(fonts):
        try:
            page.add_font(f"given{number}", "", path)
        except FileNotFoundError:
            raise FitError(f"{path}: there is no such file; name a TrueType or OpenType font with --font") from None
        except (OSError, TTLibError, KeyError, ValueError, NotImplementedError) as error:
            raise FitError(
                f"{path}: not a font that a PDF can carry ({error}); name a TrueType or OpenType font (.ttf, .otf)"
            ) from None
    if fonts:
        page.set_fallback_fonts([f"given{number}" for number in range(len(fonts))], exact_match=False)
    page.set_title(sheet.title)
    page.set_author(sheet.author or f"fit {sheet.fit}")
    page.set_subject(f"Datasheet of the study {sheet.study}")
    page.set_creator(f"fit {sheet.fit}")
    page.set_lang("en")
    page.set_creation_date(datetime.fromisoformat(sheet.date).replace(tzinfo=UTC))
    return page


def lacking(sheet: Datasheet, page: FPDF) -> list[str]:
    """Return the characters of a datasheet that no font of a document has, sorted."""
    signs = {sign for text in sheet.texts() for sign in text}
    names = [_key(SANS, ""), *(name for name in page.fonts if name.startswith("given"))]
    known = [font for name in names if isinstance(font := page.fonts[name], TTFFont)]
    return sorted(sign for sign in signs if not sign.isspace() and not any(ord(sign) in font.cmap for font in known))


def _key(family: str, style: str) -> str:
    return family.lower() + style


def _shown(of: Any, table: dict[int, str]) -> Any:
    """Return a part of a datasheet with characters replaced by texts, in every text of it."""
    if isinstance(of, str):
        return of.translate(table)
    if isinstance(of, (list, tuple)):
        return type(of)(_shown(one, table) for one in of)
    if is_dataclass(of) and not isinstance(of, type):
        of_text = [each.name for each in fields(of) if each.name not in ("svg", "kind", "data")]
        return replace(of, **{name: _shown(getattr(of, name), table) for name in of_text})
    return of


def _say_lacking(signs: Sequence[str]) -> Section:
    names = [f"U+{ord(sign):04X} ({unicodedata.name(sign, 'without a name')})" for sign in signs]
    most = 200
    listed = "; ".join(names[:most]) + (f"; and {len(names) - most} more" if len(names) > most else "")
    text = (
        "The fonts of this file lack the characters that follow. Each is written as its number in Unicode, such as "
        f"[{names[0].split()[0]}]. The HTML of this datasheet has them: {listed}."
    )
    return Section("Characters that are not shown", [Text(text)])


class _Writer:
    """Writes blocks onto pages."""

    def __init__(self, page: _Page):
        self.page = page

    def text(self, text: str, size: float = SIZE, style: str = "", grey: bool = False, after: float = 2) -> None:
        page = self.page
        page.set_font(SANS, style, size)
        page.set_text_color(*(GREY if grey else INK))
        page.multi_cell(0, size * 0.52, text, align="L", new_x="LMARGIN", new_y="NEXT")
        page.set_text_color(*INK)
        page.ln(after)

    def heading(self, text: str, level: int, first: Block | None) -> None:
        """Write a heading on the page that has room for it and for the block after it, or for its first lines."""
        page = self.page
        page.set_font(SANS, "B", 13 if level == 0 else 10.5)
        page.ln(4 if level == 0 else 2)
        if page.will_page_break(page.epw * RATIO + 30 if isinstance(first, Figure) else 30):
            page.add_page()
        page.start_section(text, level=level, strict=False)
        page.ln(1.5)

    def block(self, one: Block) -> None:
        if isinstance(one, Text):
            self.paragraph(one)
        elif isinstance(one, Bullets):
            for item in one.items:
                self.bullet(item)
            self.page.ln(1)
        elif isinstance(one, Code):
            self.code(one)
        elif isinstance(one, Grid):
            self.grid(one)
        elif isinstance(one, Figure):
            self.figure(one)
        else:
            self.thumbnails(one)

    def paragraph(self, one: Text) -> None:
        if one.kind == "answer":
            self.text(one.text, size=11, style="B", after=3)
        elif one.kind == "warning":
            page = self.page
            for text, style, colour in (("Note: ", "B", ACCENT), (one.text, "", INK)):
                page.set_font(SANS, style, SIZE)
                page.set_text_color(*colour)
                page.write(SIZE * 0.52, text)
            page.ln(SIZE * 0.52 + 2)
        else:
            if one.text.endswith(":") and self.page.will_page_break(25):  # what it leads to is on the same page
                self.page.add_page()
            self.text(one.text, style="I" if one.kind == "note" else "", grey=one.kind == "note")

    def bullet(self, text: str) -> None:
        page = self.page
        page.set_font(SANS, "", SIZE)
        page.set_x(MARGIN + 2)
        page.cell(4, SIZE * 0.52, "\u2022")
        page.multi_cell(0, SIZE * 0.52, text, align="L", new_x="LMARGIN", new_y="NEXT")
        page.ln(0.8)

    def code(self, one: Code) -> None:
        page = self.page
        page.set_font(MONO, "", 7)
        page.set_fill_color(245, 247, 250)
        for line in one.lines:
            page.multi_cell(0, 4.2, line, align="L", fill=True, wrapmode=WrapMode.CHAR, new_x="LMARGIN", new_y="NEXT")
        page.set_fill_color(255)  # which a table after it would take
        page.ln(2)

    def grid(self, one: Grid) -> None:
        page = self.page
        if not one.rows:
            return
        has_head = any(one.columns)
        page.set_font(SANS, "", CELL_SIZE)
        page.set_draw_color(*LINE)
        page.set_line_width(0.2)
        code, label = FontFace(family=MONO, size_pt=CODE_SIZE), FontFace(color=GREY)
        with page.table(
            col_widths=one.widths,
            width=page.epw,
            line_height=CELL_SIZE * 0.5,
            padding=(0.7, 1.2),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            text_align="LEFT",
            first_row_as_headings=has_head,
            headings_style=FontFace(emphasis="BOLD", size_pt=CELL_SIZE),
            num_heading_rows=1 if has_head else 0,
            repeat_headings=1 if has_head else 0,
        ) as table:
            for at, row in enumerate([one.columns, *one.rows] if has_head else one.rows):
                cells = table.row()
                for column, cell in enumerate(row):
                    style = None if has_head and at == 0 else code if column in one.code else None
                    style = label if not has_head and column == 0 else style
                    cells.cell(cell, align="RIGHT" if column in one.numbers else "LEFT", style=style, v_align="TOP")
        page.ln(3)

    def figure(self, one: Figure) -> None:
        page = self.page
        height = page.epw * RATIO
        if page.will_page_break(height + 12):
            page.add_page()
        page.image(io.BytesIO(one.svg.encode()), w=page.epw, alt_text=one.alt)
        page.ln(1)
        self.text(one.caption, size=8, grey=True)

    def thumbnails(self, one: Thumbnails) -> None:
        """Write pictures in rows; a group stays in one row where it fits."""
        page = self.page
        rows: list[list[tuple[float, str, Thumbnail]]] = [[]]
        x = 0.0
        for label, pictures in one.groups:
            if rows[-1] and x + len(pictures) * (PICTURE + 2) - 2 > page.epw:
                rows.append([])
                x = 0.0
            for at, picture in enumerate(pictures):
                if x + PICTURE > page.epw:
                    rows.append([])
                    x = 0.0
                rows[-1].append((x, label if at == 0 else "", picture))
                x += PICTURE + 2
            x += 4
        for number, row in enumerate(rows):
            captions = max((self._height(picture.caption) for *_, picture in row), default=0)
            has_label = any(label for _, label, _ in row)
            title = one.title if number == 0 else ""
            if page.will_page_break(PICTURE + captions + 4 * has_label + 5 * bool(title) + 2):
                page.add_page()
            if title:
                self.text(title, size=8.5, style="B", after=0.5)
            top = page.get_y()
            for x, label, picture in row:
                self._thumbnail(picture, label, MARGIN + x, top, 4 * has_label)
            page.set_xy(MARGIN, top + 4 * has_label + PICTURE + captions + 2)
        page.ln(1)

    def _height(self, caption: str) -> float:
        if not caption:
            return 0
        self.page.set_font(SANS, "", 5.5)
        lines: Any = self.page.multi_cell(
            PICTURE, 2.6, caption, align="L", dry_run=True, output=MethodReturnValue.LINES
        )
        return 2.6 * len(lines) + 0.5

    def _thumbnail(self, picture: Thumbnail, label: str, x: float, y: float, above: float) -> None:
        page = self.page
        if label:
            page.set_font(SANS, "", 7)
            page.set_text_color(*GREY)
            page.text(x, y + 2.8, label)
            page.set_text_color(*INK)
        with Image.open(io.BytesIO(picture.data), formats=["WEBP"]) as image:
            shown = image.convert("RGB")
        scale = PICTURE / max(shown.size)
        page.image(shown, x=x, y=y + above, w=shown.width * scale, h=shown.height * scale, alt_text=picture.alt)
        if picture.caption:
            page.set_font(SANS, "", 5.5)
            page.set_xy(x, y + above + PICTURE + 0.5)
            page.multi_cell(PICTURE, 2.6, picture.caption, align="L")


def lay_out(sheet: Datasheet, fonts: Sequence[str | Path] = ()) -> tuple[bytes, list[str]]:
    """Return a datasheet as PDF, and the characters that its fonts lack.

    Letters of Latin, Greek, Cyrillic and many more are in the file's own fonts. A character that they lack is written
    as its number in Unicode, and a section names it. Scripts whose letters join are not joined.

    Args:
        sheet: the datasheet.
        fonts: files of fonts for characters that the others lack.

    Raises:
        FitError: a font is not usable.
    """
    page = _document(sheet, fonts)
    lacks = lacking(sheet, page)
    if lacks:
        sheet = _shown(sheet, {ord(sign): f"[U+{ord(sign):04X}]" for sign in lacks})
        sheet.sections.insert(-1, _say_lacking(lacks))
        page.sheet = sheet
        page.set_title(sheet.title)
        page.set_author(sheet.author or f"fit {sheet.fit}")
        page.set_subject(f"Datasheet of the study {sheet.study}")
    writer = _Writer(page)
    page.set_section_title_styles(
        level0=TextStyle(SANS, "B", 13, color=INK), level1=TextStyle(SANS, "B", 10.5, color=INK)
    )
    page.add_page()
    writer.text(sheet.title, size=16, style="B", after=3)
    writer.grid(sheet.facts)
    for number, section in enumerate(sheet.sections, 1):
        below = section.blocks or (section.inside[0].blocks if section.inside else [])
        writer.heading(f"{number}. {section.title}", 0, below[0] if below else None)
        for one in section.blocks:
            writer.block(one)
        for at, inside in enumerate(section.inside, 1):
            writer.heading(f"{number}.{at} {inside.title}", 1, inside.blocks[0] if inside.blocks else None)
            for one in inside.blocks:
                writer.block(one)
    return bytes(page.output()), lacks
