"""Folders, masks, annotation files and splits, and what `endoseg check` promises of each."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.hostile.cases import Case, Make, coco, frame, holed_jpeg, mask, pairs, picture, png_header, text, together

CHECK = "check --labeled {}"
COCO = "check --labeled {}/a.json"
SPLIT = "check --split {}/s.json --root {}"
XML = '<annotations><version>1.1</version><image id="0" name="a.png" width="32" height="24">{}</image></annotations>'
POLYGON = '<polygon label="polyp" points="1,1;20,1;20,18"/>'


def _with_mask(name: str, pixels: NDArray[Any]) -> Make:
    return together(picture("images/a.png"), picture(f"masks/{name}", pixels))


def _masks(name: str, pixels: NDArray[Any], code: int, says: str = "") -> Case:
    stem = name.rpartition(".")[0] or name
    return Case(
        name=f"mask {says or 'read'}: {stem}",
        make=_with_mask("a." + name.rpartition(".")[2], pixels),
        command=CHECK,
        code=code,
        says=says or "no faults",
    )


ON = mask() > 0
COLOURED = np.zeros((24, 32, 3), np.uint8)
COLOURED[ON] = (0, 255, 0)
PALETTE = np.where(ON, 1, 0).astype(np.uint8)
ALPHA = np.dstack([np.full((24, 32, 3), 255, np.uint8), mask()])
SOFT = cv2.GaussianBlur(mask(), (9, 9), 3)

MASKS = (
    _masks("0 and 255.png", mask(), 0),
    _masks("0 and 1.png", PALETTE, 0),
    _masks("0 and 65535.png", (ON * 65535).astype(np.uint16), 0),
    _masks("0 and 1 in 16 bits.png", ON.astype(np.uint16), 0),
    _masks("green on black.png", COLOURED, 0),
    _masks("in alpha.png", ALPHA, 0),
    _masks("bmp.bmp", mask(), 0),
    _masks("jpeg.jpg", mask(), 0),
    _masks("tiff.tif", mask(), 0),
    _masks("float tiff.tif", ON.astype(np.float32), 0),
    _masks("int32 tiff.tif", (ON * 255).astype(np.int32), 0),
    _masks("webp.webp", mask(), 0),
    _masks("soft edges.png", SOFT, 0),
    _masks("a picture.png", frame(), 3, "expected a mask of two values"),
    _masks("empty.png", np.zeros((24, 32), np.uint8), 3, "expected a lesion in some labelled mask"),
    _masks("inverted.png", 255 - mask(), 0, "inverted"),
    _masks("of another size.png", mask(size=(20, 20)), 3, "expected a mask of 32x24"),
    _masks("turned.png", mask(size=(32, 24)), 3, "sides swapped"),
    _masks("one pixel.png", np.full((1, 1), 255, np.uint8), 3, "expected a mask of 32x24"),
)

FOLDERS = (
    Case(name="healthy folder", make=pairs(), command=CHECK, code=0, says="no faults"),
    Case(name="empty folder", make=lambda _: None, command=CHECK, code=3, says="found"),
    Case(name="no such folder", make=lambda _: None, command="check --labeled {}/none", code=3, says="none"),
    Case(name="file for a folder", make=text("x.txt", "x"), command="check --labeled {}/x.txt", code=3),
    Case(name="images without masks", make=picture("images/a.png"), command=CHECK, code=3, says="mask"),
    Case(name="masks without images", make=picture("masks/a.png", mask()), command=CHECK, code=3, says="image|picture"),
    Case(
        name="one mask missing",
        make=together(pairs(), picture("images/x.png", seed=7)),
        command=CHECK,
        code=3,
        says=r"x\.png",
    ),
    Case(name="side by side", make=together(picture("a.png"), picture("a_mask.png", mask())), command=CHECK, code=0),
    Case(
        name="Original and Ground Truth",
        make=pairs(2, "Original", "Ground Truth"),
        command=CHECK,
        code=0,
        says="no faults",
    ),
    Case(
        name="BKAI's folders",
        make=pairs(2, "train/train", "train_gt/train_gt"),
        command=CHECK,
        code=0,
        says="no faults",
    ),
    Case(name="upper case folders", make=pairs(2, "Images", "Masks"), command=CHECK, code=0, says="no faults"),
    Case(
        name="blanks and umlauts",
        make=together(picture("images/ä ö.png"), picture("masks/ä ö.png", mask())),
        command=CHECK,
        code=0,
    ),
    Case(
        name="hidden files of macOS",
        make=together(pairs(), text("images/._0.png", b"\0\5\26\7"), text("masks/.DS_Store", b"x")),
        command=CHECK,
        code=0,
    ),
    Case(
        name="picture of no bytes",
        make=together(pairs(), text("images/0.png", b"")),
        command=CHECK,
        code=3,
        says="0.png",
    ),
    Case(
        name="mask of no bytes", make=together(pairs(), text("masks/0.png", b"")), command=CHECK, code=3, says="0.png"
    ),
    Case(
        name="picture cut off",
        make=together(pairs(), text("images/0.png", png_header(32, 24))),
        command=CHECK,
        code=3,
        says="0.png",
    ),
    Case(
        name="picture with a hole",
        make=together(pairs(), holed_jpeg("images/x.jpg"), picture("masks/x.png", mask())),
        command=CHECK,
        code=3,
        says=r"damaged one; .*x\.jpg",
    ),
    Case(
        name="picture with a hole to train on",
        make=together(pairs(3), holed_jpeg("images/x.jpg"), picture("masks/x.png", mask())),
        command="train --labeled {} --val-fraction 0.5 --encoder-weights none --out {}/run",
        code=3,
        says=r"damaged one; .*x\.jpg",
    ),
    Case(
        name="picture with a hole to score",
        make=together(pairs(), holed_jpeg("images/x.jpg"), picture("masks/x.png", mask())),
        command="evaluate --labeled {} --weights {model} --device cpu",
        code=3,
        says=r"damaged one; .*x\.jpg",
    ),
    Case(
        name="picture that promises too much",
        make=together(pairs(), text("images/0.png", png_header(60000, 60000))),
        command=CHECK,
        code=3,
        says=r"0\.png",
    ),
    Case(name="text called png", make=together(pairs(), text("images/0.png", "not a picture")), command=CHECK, code=3),
    Case(
        name="picture with an endless chunk",
        make=together(pairs(), text("images/0.png", png_header(32, 24) + b"\xa6\0\0\0IDAT")),
        command=CHECK,
        code=3,
        says=r"0\.png",
    ),
    Case(
        name="two images of one name",
        make=together(pairs(), picture("images/0.jpg")),
        command=CHECK,
        code=3,
        says="0.jpg",
    ),
    Case(
        name="frame in both sets",
        make=pairs(),
        command="check --labeled {} --val {}",
        code=3,
        says="same|both",
    ),
    Case(
        name="unlabelled is empty", make=pairs(), command="check --labeled {} --unlabeled {}/none", code=3, says="none"
    ),
    Case(
        name="unlabelled holds a text called mp4",
        make=together(pairs(), text("u/a.mp4", "x")),
        command="check --labeled {} --unlabeled {}/u --cache {}/cache",
        code=3,
        says=r"a\.mp4",
    ),
    Case(
        name="share above one", make=pairs(), command="check --labeled {} --val-fraction 2", code=2, says="val-fraction"
    ),
    Case(
        name="share of nan", make=pairs(), command="check --labeled {} --val-fraction nan", code=2, says="val-fraction"
    ),
)

COCOS = (
    Case(name="coco", make=coco(), command=COCO, code=0, says="no faults"),
    Case(name="coco: ids as text", make=coco({"image_id": "1"}), command=COCO, code=0, says="no faults"),
    Case(name="coco: width as text", make=coco(image={"width": "32"}), command=COCO, code=0, says="no faults"),
    Case(name="coco: width without measure", make=coco(image={"width": 1 << 40}), command=COCO, code=3),
    Case(name="coco: no such picture", make=coco(image={"file_name": "b.png"}), command=COCO, code=3, says=r"b\.png"),
    Case(name="coco: picture elsewhere", make=coco(image={"file_name": "../../b.png"}), command=COCO, code=3),
    Case(name="coco: picture of another size", make=coco(image={"width": 30}), command=COCO, code=3, says="30x24"),
    Case(name="coco: box alone", make=coco({"segmentation": []}), command=COCO, code=3, says="box alone"),
    Case(
        name="coco: two points", make=coco({"segmentation": [[1, 1, 2, 2]]}), command=COCO, code=3, says="three points"
    ),
    Case(
        name="coco: outside the picture",
        make=coco(
            annotations=[
                {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 2, 20, 2, 20, 18]]},
                {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[32, 2, 40, 2, 40, 18]]},
                {
                    "id": 3,
                    "image_id": 1,
                    "category_id": 1,
                    "segmentation": [[2, -9, 9, -9, 9, 0], [-5, 1, -2, 1, -2, 9]],
                },
            ]
        ),
        command=COCO,
        code=0,
        says=r"3 shapes lie wholly outside the picture and count nothing, the first one in a\.png",
    ),
    Case(name="coco: far outside", make=coco({"segmentation": [[1e300, 1, 2, 2, 3, -1e300]]}), command=COCO, code=3),
    Case(
        name="coco: runs too long",
        make=coco({"segmentation": {"size": [24, 32], "counts": [1, 1 << 60]}}),
        command=COCO,
        code=3,
        says="add up to",
    ),
    Case(
        name="coco: packed runs cut off",
        make=coco({"segmentation": {"size": [24, 32], "counts": "oooo"}}),
        command=COCO,
        code=3,
        says="cut off|add up to",
    ),
    Case(name="coco: no images", make=coco(images=[]), command=COCO, code=3),
    Case(name="coco: images an object", make=coco(images={}), command=COCO, code=3),
    Case(name="json: empty", make=text("a.json", ""), command=COCO, code=3, says=r"a\.json"),
    Case(name="json: a list", make=text("a.json", "[]"), command=COCO, code=3, says=r"a\.json"),
    Case(name="json: not UTF-8", make=text("a.json", b'{"a": "\xff"}'), command=COCO, code=3, says=r"a\.json"),
    Case(name="json: UTF-16", make=text("a.json", "{}".encode("utf-16")), command=COCO, code=3, says=r"a\.json"),
    Case(name="json: deep", make=text("a.json", "[" * 100_000), command=COCO, code=3, says=r"a\.json"),
    Case(name="json: a long number", make=text("a.json", "9" * 10_000), command=COCO, code=3, says=r"a\.json"),
    Case(name="json: a folder", make=lambda folder: (folder / "a.json").mkdir(), command=COCO, code=3),
)

XMLS = tuple(
    Case(
        name=f"cvat: {name}",
        make=together(picture("a.png"), text("a.xml", content)),
        command="check --labeled {}/a.xml",
        code=code,
        says=says,
    )
    for name, content, code, says in (
        ("healthy", XML.format(POLYGON), 0, "no faults"),
        ("a box", XML.format('<box label="polyp" xtl="1" ytl="1" xbr="9" ybr="9"/>'), 3, "box"),
        (
            "a polygon outside",
            XML.format(POLYGON + '<polygon label="p" points="40,1;50,1;50,9"/>'),
            0,
            r"1 shape lies wholly outside the picture and counts nothing, the first one in a\.png",
        ),
        ("points that are none", XML.format('<polygon label="p" points="a,b;c"/>'), 3, r"a\.xml"),
        ("points of nan", XML.format('<polygon label="p" points="nan,1;2,2;3,1"/>'), 3, r"a\.xml"),
        (
            "a mask too large",
            XML.format('<mask label="p" rle="9999999999" left="0" top="0" width="9" height="9"/>'),
            3,
            "",
        ),
        (
            "a mask of negative width",
            XML.format('<mask label="p" rle="1" left="0" top="0" width="-9" height="9"/>'),
            3,
            "",
        ),
        ("empty", "", 3, r"a\.xml"),
        ("cut off", XML.format(POLYGON)[:90], 3, r"a\.xml"),
        ("html", "<html><body/></html>", 3, r"a\.xml"),
        ("entities", '<!DOCTYPE a [<!ENTITY b "c">]>' + XML.format("&b;"), 3, r"a\.xml"),
        ("a file as entity", '<!DOCTYPE a [<!ENTITY b SYSTEM "/etc/passwd">]>' + XML.format("&b;"), 3, r"a\.xml"),
        ("an encoding that is none", '<?xml version="1.0" encoding="utg-8"?>' + XML.format(POLYGON), 3, r"a\.xml"),
        ("entities in UTF-16", ('<!DOCTYPE a [<!ENTITY b "c">]>' + XML.format("&b;")).encode("utf-16"), 3, "entities"),
        ("deep", "<annotations>" + "<a>" * 50_000, 3, r"a\.xml"),
    )
)

YOLOS = tuple(
    Case(
        name=f"yolo: {name}",
        make=together(picture("a.png"), text("a.txt", content)),
        command=CHECK,
        code=code,
        says=says,
    )
    for name, content, code, says in (
        ("healthy", "0 0.1 0.1 0.5 0.1 0.5 0.6\n", 0, "no faults"),
        (
            "outside the picture",
            "0 0.1 0.1 0.5 0.1 0.5 0.6\n0 1.1 0.1 1.4 0.1 1.4 0.6\n",
            0,
            r"1 shape lies wholly outside the picture and counts nothing, the first one in a\.txt",
        ),
        ("a box", "0 0.5 0.5 0.2 0.2\n", 3, r"a\.txt"),
        ("pixels for shares", "0 1 1 20 1 20 18\n", 3, r"a\.txt"),
        ("an odd number", "0 0.1 0.1 0.5 0.1 0.5 0.6 0.7\n", 3, r"a\.txt"),
        ("nan", "0 nan 0.1 0.5 0.1 0.5 0.6\n", 3, r"\.txt"),
        ("a class of letters", "p 0.1 0.1 0.5 0.1 0.5 0.6\n", 3, ""),
    )
)


def _split(content: object) -> Make:
    return together(pairs(3), text("s.json", content if isinstance(content, str | bytes) else json.dumps(content)))


SPLITS = tuple(
    Case(name=f"split: {name}", make=_split(content), command=SPLIT, code=code, says=says)
    for name, content, code, says in (
        ("healthy", {"train": {"labeled": ["0", "1"], "unlabeled": []}, "val": ["2"]}, 0, "no faults"),
        ("empty", "", 3, r"s\.json"),
        ("a list", "[]", 3, r"s\.json"),
        ("numbers for names", {"train": {"labeled": [0, 1], "unlabeled": []}, "val": [2]}, 3, r"s\.json"),
        ("null for names", {"train": {"labeled": None, "unlabeled": []}, "val": []}, 3, r"s\.json"),
        ("a frame twice", {"train": {"labeled": ["0", "0"], "unlabeled": []}, "val": ["2"]}, 3, "0"),
        ("no such frame", {"train": {"labeled": ["9"], "unlabeled": []}, "val": ["2"]}, 3, "9"),
        ("a zero byte", {"train": {"labeled": ["a\0b"], "unlabeled": []}, "val": ["2"]}, 3, ""),
        ("a name too long", {"train": {"labeled": ["a" * 5000], "unlabeled": []}, "val": ["2"]}, 3, ""),
        ("a mask of nothing", {"train": {"labeled": [{"image": "images/0.png"}], "unlabeled": []}, "val": []}, 3, ""),
    )
)

DATA_CASES = (*MASKS, *FOLDERS, *COCOS, *XMLS, *YOLOS, *SPLITS)
