"""Makes the picture files of this folder and, beside each, what Pillow 13 reads from it.

    python make.py        (Pillow 13, numpy)

`NAME.EXT` is the file; `NAME.EXT.want.png` is `convert("RGB")` after `ImageOps.exif_transpose`.
16-bit grey is the exception: Pillow clips it at 255, the wanted picture holds the high byte.
"""
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
W, H = 37, 22
RNG = np.random.default_rng(5)
y, x = np.mgrid[0:H, 0:W]
RGB = np.stack([(x * 7) % 256, (y * 11 + x) % 256, np.hypot(x - 18, y - 11) * 12 % 256], -1).astype(np.uint8)
GREY = RGB[..., 2].copy()
ALPHA = ((x * y) % 256).astype(np.uint8)
WORD = (GREY.astype(np.uint16) * 257 + x.astype(np.uint16) * 3) & 0xFFFF


def png16(array):
    """A 16-bit PNG, which Pillow does not write in colour."""
    h, w = array.shape[:2]
    kind = {1: 0, 3: 2, 4: 6}[array.shape[2]]
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    chunk = lambda t, d: struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    head = struct.pack(">IIBBBBB", w, h, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def tiff4(index, colours):
    """A big-endian TIFF of 4-bit palette indices, which Pillow reads but does not write."""
    index = np.pad(index, ((0, 0), (0, index.shape[1] % 2)))
    strip = (index[:, ::2] << 4 | index[:, 1::2]).astype(np.uint8).tobytes()
    colours = colours.astype(">u2").tobytes()
    tags = [(256, 3, 1, W << 16), (257, 3, 1, H << 16), (258, 3, 1, 4 << 16), (259, 3, 1, 1 << 16), (262, 3, 1, 3 << 16),
            (273, 4, 1, 8), (277, 3, 1, 1 << 16), (278, 3, 1, H << 16), (279, 4, 1, len(strip)),
            (320, 3, 48, 8 + len(strip))]
    head = b"MM\0*" + struct.pack(">I", 8 + len(strip) + len(colours))
    ifd = struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", *t) for t in tags) + bytes(4)
    return head + strip + colours + ifd


def put(name, image, want=None, **options):
    path = HERE / name
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        image.save(path, **options)
    if want is None:
        opened = Image.open(path)
        want = ImageOps.exif_transpose(opened).convert("RGB")
    want.save(HERE / f"{name}.want.png")


rgb, grey = Image.fromarray(RGB), Image.fromarray(GREY)
rgba = Image.fromarray(np.dstack([RGB, ALPHA]), "RGBA")
palette = rgb.quantize(40)
put("rgb.png", rgb)
put("grey.png", grey)
put("rgba.png", rgba)
put("la.png", Image.fromarray(np.dstack([GREY, ALPHA]), "LA"))
put("palette.png", palette)
put("palette_transparent.png", palette, transparency=bytes(range(0, 240, 6)))
put("grey_transparent.png", grey, transparency=24)
put("palette4.png", rgb.quantize(13), bits=4)
put("one_bit.png", grey.point(lambda v: 255 * (v > 99)).convert("1"))
put("word.png", Image.fromarray(WORD), Image.fromarray((WORD >> 8).astype(np.uint8)).convert("RGB"))
put("rgb16.png", png16(np.dstack([WORD, WORD // 2, WORD // 3])))
put("rgba16.png", png16(np.dstack([WORD, WORD // 2, WORD // 3, WORD])))
put("grey.jpg", grey, quality=85)
put("rgb444.jpg", rgb, quality=90, subsampling=0)
put("rgb420.jpg", rgb, quality=80, subsampling=2)
put("progressive.jpg", rgb, quality=80, progressive=True)
put("cmyk.jpg", rgb.convert("CMYK"), quality=95)
for n in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = n
    put(f"orientation{n}.jpg", grey, quality=90, exif=exif)
exif = Image.Exif()
exif[0x0112] = 6
put("orientation6.png", grey, exif=exif)
put("grey.tif", grey)
put("rgb_lzw.tif", rgb, compression="tiff_lzw")
put("rgb_deflate.tif", rgb, compression="tiff_adobe_deflate")
put("rgba.tif", rgba)
put("one_bit.tif", grey.point(lambda v: 255 * (v > 99)).convert("1"))
put("cmyk.tif", rgb.convert("CMYK"))
put("palette.tif", palette)
put("palette4.tif", tiff4(np.asarray(rgb.quantize(13)), RNG.integers(0, 65536, 48)))
put("word.tif", Image.fromarray(WORD), Image.fromarray((WORD >> 8).astype(np.uint8)).convert("RGB"))
put("pages.tif", rgb, save_all=True, append_images=[grey, ImageOps.invert(grey)])
ImageOps.invert(grey).convert("RGB").save(HERE / "pages.tif.page2.png")
for name, image in (("jpeg.tif", rgb.convert("YCbCr")), ("jpeg_grey.tif", grey), ("jpeg_cmyk.tif", rgb.convert("CMYK"))):
    put(name, image, compression="jpeg", quality=80)
put("big.tif", grey, big_tiff=True)
put("rgb.bmp", rgb)
put("palette.bmp", palette)
put("lossless.webp", rgb, lossless=True)
put("lossy.webp", rgb, quality=80)
put("grey.pgm", grey)
put("frames.gif", palette, save_all=True, append_images=[ImageOps.invert(rgb).quantize(40)], duration=50)
frames = Image.open(HERE / "frames.gif")
frames.seek(1)
frames.convert("RGB").save(HERE / "frames.gif.frame1.png")

# Frames that let others through, leave themselves, the background or what was there before.
moving = []
for n in range(5):
    plate = np.zeros((H, W), np.uint8)
    plate[4 + n:12 + n, 3 * n:3 * n + 14] = 1 + (np.asarray(palette)[4 + n:12 + n, 3 * n:3 * n + 14] % 39)
    frame = Image.fromarray(plate, "P")
    frame.putpalette([9, 200, 30] + list(RNG.integers(0, 256, 117)))
    moving.append(frame)
for name, disposal in (("kept.gif", 1), ("cleared.gif", 2), ("restored.gif", 3), ("mixed.gif", [2, 0, 3, 1, 2])):
    moving[0].save(HERE / name, save_all=True, append_images=moving[1:], transparency=0, disposal=disposal, duration=40)
    for n in range(5):
        frames = Image.open(HERE / name)
        frames.seek(n)
        frames.convert("RGB").save(HERE / f"{name}.frame{n}.png")
put("see_through.gif", palette, transparency=3)
for subsampling, name in ((1, "rgb422"), (2, "rgb420_progressive")):
    put(f"{name}.jpg", rgb, quality=85, subsampling=subsampling, progressive=name.endswith("ive"))
for side in ((1, 1), (2, 3), (3, 2), (5, 17), (16, 16), (17, 33), (33, 8)):
    put(f"side{side[0]}x{side[1]}.jpg", rgb.crop((3, 2, 3 + side[0], 2 + side[1])).resize(side), quality=75, subsampling=2)
put("restarts.jpg", rgb, quality=85, subsampling=2, restart_marker_blocks=2)
put("coarse.jpg", rgb, quality=3, subsampling=2)
