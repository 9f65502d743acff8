//! Volume files against nibabel and SimpleITK: `volumes/make.py` wrote the small files and
//! `want.json`. Real files are compared too when `LOUPE_TEST_DATA` names their folder.

use loupe_core::MediaLoader;
use loupe_core::Picture;
use loupe_core::geometry::LpsFromIndex;
use loupe_core::mask::LabelVolume;
use loupe_core::media::{MediaError, MediaRef, Plane, SliceAt, View, WindowChoice};
use loupe_core::volume::{Modality, Volume};
use loupe_preprocess::nifti::{Xform, label_bytes, volume_bytes};
use loupe_preprocess::render::{orientation_letters, percentiles};
use loupe_preprocess::volume_io::{ReadVolume, VolumeFormat, inside, labels_of, open_volume, read_volume};
use loupe_preprocess::{DecodeLimits, Loader};
use ndarray::{Array3, s};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn shown(volume: &Volume, view: &View) -> Result<Picture, MediaError> {
    ReadVolume::of(volume.clone()).picture(view)
}

#[derive(Deserialize)]
struct Want {
    root: String,
    file: String,
    size: [usize; 3],
    frames: usize,
    ras: Option<[[f64; 4]; 3]>,
    itk: Option<[[f64; 4]; 3]>,
    first: String,
    last: String,
}

fn small() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/volumes")
}

fn wanted() -> Vec<Want> {
    serde_json::from_slice(&std::fs::read(small().join("want.json")).unwrap()).unwrap()
}

fn digest(voxels: &Array3<f32>) -> String {
    let mut hash = Sha256::new();
    for v in voxels {
        hash.update(v.to_le_bytes());
    }
    hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

fn far(a: [[f64; 4]; 3], b: [[f64; 4]; 3]) -> f64 {
    a.iter()
        .flatten()
        .zip(b.iter().flatten())
        .map(|(x, y)| (x - y).abs() / (1.0 + y.abs()))
        .fold(0.0, f64::max)
}

/// What differs between our reading and the reference's.
fn check(want: &Want, path: &Path) -> Vec<String> {
    let limits = DecodeLimits::default();
    let mut wrong = Vec::new();
    let name = &want.file;
    let mut frame = |n: usize, digest_wanted: &str| match open_volume(path, n, Xform::Nibabel, &limits) {
        Err(e) => wrong.push(format!("{name}: {e}")),
        Ok(read) => {
            let [k, j, i] = read.volume.shape();
            if [i, j, k] != want.size || read.frames != want.frames {
                wrong.push(format!("{name}: size {:?} frames {}", [i, j, k], read.frames));
            }
            if digest(&read.volume.voxels) != digest_wanted {
                wrong.push(format!("{name}: voxels of frame {n} differ"));
            }
            if let Some(ras) = want.ras {
                let off = far(read.volume.lps_from_index.to_ras(), ras);
                if off > 1e-5 {
                    wrong.push(format!(
                        "{name}: matrix off by {off}: {:?}",
                        read.volume.lps_from_index.to_ras()
                    ));
                }
            }
        }
    };
    frame(0, &want.first);
    frame(want.frames - 1, &want.last);
    wrong
}

#[test]
fn small_files_equal_nibabel_and_simpleitk() {
    let all = wanted();
    let here: Vec<&Want> = all.iter().filter(|w| w.root == "volumes").collect();
    assert_eq!(here.len(), 94);
    let wrong: Vec<String> = here.iter().flat_map(|w| check(w, &small().join(&w.file))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn itk_precedence_of_matrices_equals_simpleitk() {
    let (mut compared, mut refused) = (0, 0);
    for want in wanted().iter().filter(|w| w.root == "volumes" && w.file.ends_with(".nii")) {
        let got = open_volume(&small().join(&want.file), 0, Xform::Itk, &DecodeLimits::default());
        match (want.itk, got) {
            // SimpleITK reads a 2-D file as 2-D: its third axis is not comparable; lines it does not read.
            _ if want.file == "flat.nii" || want.file == "line.nii" => {}
            (Some(itk), Ok(read)) => {
                compared += 1;
                let off = far(read.volume.lps_from_index.to_ras(), itk);
                assert!(off < 1e-5, "{}: {off} {:?} {itk:?}", want.file, read.volume.lps_from_index.to_ras());
            }
            // Both refuse what is sheared.
            (None, Err(MediaError::Malformed { field, .. })) if field == "srow" => refused += 1,
            (_, got) => panic!("{}: {:?}", want.file, got.map(|_| "read, but SimpleITK refuses it")),
        }
    }
    assert_eq!((compared, refused), (19, 32));
}

#[test]
fn real_files_equal_nibabel_and_simpleitk() {
    let Some(data) = loupe_testing::real_data("") else { return };
    let mut compared = 0;
    let mut wrong = Vec::new();
    for want in wanted().iter().filter(|w| w.root == "data") {
        let path = data.join(&want.file);
        if path.exists() {
            compared += 1;
            wrong.extend(check(want, &path));
        }
    }
    assert!(compared > 20, "only {compared} files are there");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A head with a mark in each octant, stored in every one of the 48 axis orders.
#[test]
fn the_48_axis_orders_show_the_same_anatomy() {
    let base = Array3::from_shape_fn((4, 5, 6), |(k, j, i)| (i + 10 * j + 100 * k) as f32);
    let map = LpsFromIndex::from_columns([2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [-5.0, 7.0, 3.0]);
    let volume = Volume { voxels: base, lps_from_index: map, modality: Modality::Other };
    let mut seen = std::collections::BTreeSet::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for flips in 0..8usize {
            // Array axes are (k, j, i); axis a of the new grid is axis order[a] of the old one.
            let mut voxels = volume.voxels.clone().permuted_axes([2 - order[2], 2 - order[1], 2 - order[0]]);
            let mut columns = order.map(|a| map.column(a));
            let mut origin = map.column(3);
            for (axis, column) in columns.iter_mut().enumerate() {
                if flips >> axis & 1 == 1 {
                    voxels.invert_axis(ndarray::Axis(2 - axis));
                    let last = (voxels.dim().into_shape_like()[2 - axis] - 1) as f64;
                    for (o, step) in origin.iter_mut().zip(column) {
                        *o += *step * last;
                        *step = -*step;
                    }
                }
            }
            let stored = Volume {
                voxels: voxels.as_standard_layout().into_owned(),
                lps_from_index: LpsFromIndex::from_columns(columns[0], columns[1], columns[2], origin),
                modality: Modality::Other,
            };
            seen.insert(orientation_letters(&stored.lps_from_index).unwrap());
            let written =
                read_volume(&volume_bytes(&stored).unwrap(), 0, Xform::Nibabel, &DecodeLimits::default())
                    .unwrap();
            for plane in [Plane::Axial, Plane::Coronal, Plane::Sagittal] {
                let view = View {
                    plane,
                    slice: Some(SliceAt::Index(1)),
                    window: Some(WindowChoice::FullRange),
                    ..View::default()
                };
                let (a, b) = (shown(&volume, &view).unwrap(), shown(&written.volume, &view).unwrap());
                assert_eq!(a.pixels(), b.pixels(), "{plane:?} {order:?} {flips}");
                let p = loupe_core::geometry::Point2::new(0.5, 1.5);
                let (p, q) = (a.origin.lps_of(p).unwrap(), b.origin.lps_of(p).unwrap());
                assert!(p.iter().zip(q).all(|(x, y)| (x - y).abs() < 1e-4), "{p:?} {q:?}");
            }
        }
    }
    assert_eq!(seen.len(), 48);
}

trait Dims {
    fn into_shape_like(self) -> [usize; 3];
}

impl Dims for (usize, usize, usize) {
    fn into_shape_like(self) -> [usize; 3] {
        [self.0, self.1, self.2]
    }
}

#[test]
fn planes_lie_as_radiologists_look_at_them() {
    // Identity LPS: i to the left, j to the back, k to the head.
    let voxels = Array3::from_shape_fn((3, 4, 5), |(k, j, i)| (i + 10 * j + 60 * k) as f32);
    let volume = Volume { voxels, lps_from_index: LpsFromIndex::IDENTITY, modality: Modality::Mr };
    let show = |plane, n| {
        let numbers = loupe_core::window::Window::between(0.0, 255.0);
        let view = View {
            plane,
            slice: Some(SliceAt::Index(n)),
            window: Some(WindowChoice::Numbers(numbers)),
            ..View::default()
        };
        shown(&volume, &view).unwrap()
    };
    let at = |plane, n, x, y| show(plane, n).pixel(x, y).unwrap()[0];
    assert_eq!(at(Plane::Axial, 2, 1, 3), 1 + 30 + 120); // right of the picture is the patient's left
    assert_eq!(at(Plane::Coronal, 3, 4, 0), 4 + 30 + 120); // the top row is the head
    assert_eq!(at(Plane::Sagittal, 1, 2, 2), 1 + 20); // left of the picture is the front
    let corner = show(Plane::Sagittal, 1).origin.lps_of(loupe_core::geometry::Point2::new(0.0, 0.0)).unwrap();
    assert_eq!(corner, [1.0, -0.5, 2.5]);
    let mm = View { plane: Plane::Axial, slice: Some(SliceAt::Mm(1.4)), ..View::default() };
    assert_eq!(shown(&volume, &mm).unwrap().origin.slice, Some(1));
    let out = View { plane: Plane::Axial, slice: Some(SliceAt::Mm(9.0)), ..View::default() };
    assert!(matches!(shown(&volume, &out), Err(MediaError::View(m)) if m.contains("0.0 to 2.0")));
}

/// Planes of a volume with fewer slices than rows, walked backwards: the stored slice is asked for only where the
/// picture is one.
#[test]
fn planes_across_few_slices_walked_backwards() {
    let voxels = Array3::from_shape_fn((2, 5, 9), |(k, j, i)| (k * 45 + j * 9 + i) as f32);
    let columns = [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -2.0]];
    let lps_from_index = LpsFromIndex::from_columns(columns[0], columns[1], columns[2], [0.0; 3]);
    let volume = Volume { voxels, lps_from_index, modality: Modality::Mr };
    for (plane, slices) in [(Plane::Axial, 2), (Plane::Coronal, 5), (Plane::Sagittal, 9), (Plane::Upright, 2)]
    {
        for n in 0..slices {
            let view = View { plane, slice: Some(SliceAt::Index(n)), ..View::default() };
            let stored = loupe_preprocess::render::stored_slice(&volume, &view).unwrap();
            let want = match plane {
                Plane::Axial => Some(1 - n),
                Plane::Upright => Some(n),
                _ => None,
            };
            assert_eq!(stored, want, "{plane:?} {n}");
            assert!(shown(&volume, &view).is_ok());
        }
    }
}

#[test]
fn a_sform_of_zeros_gives_way_and_a_contradiction_is_said() {
    let good = std::fs::read(small().join("codes_q1_s1.nii")).unwrap();
    let read = |bytes: &[u8], xform| read_volume(bytes, 0, xform, &DecodeLimits::default()).unwrap();
    let qform = read(&std::fs::read(small().join("codes_q1_s0.nii")).unwrap(), Xform::Nibabel);
    let mut zeros = good.clone();
    zeros[280..328].fill(0);
    for xform in [Xform::Nibabel, Xform::Itk] {
        let found = read(&zeros, xform);
        assert!(far(found.volume.lps_from_index.to_ras(), qform.volume.lps_from_index.to_ras()) < 1e-5);
        let notes = found.notes.join("\n");
        assert!(notes.contains("the sform is singular") && notes.contains("geometry: qform"), "{notes}");
    }
    let said =
        |bytes: &[u8], words: &str| read(bytes, Xform::Nibabel).notes.iter().any(|n| n.contains(words));
    assert!(!said(&good, "contradict") && !said(&good, "implausible"));
    let with = |at: usize, value: f32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    // pixdim[1] beside the sform's own voxel size; a sform in another unit.
    assert!(said(&with(80, 2.75), "sform and pixdim contradict each other: voxels of "));
    assert!(said(&with(280, 4000.0), "are implausible"));
}

#[test]
fn slices_of_a_research_volume_are_shown_upright() {
    // RAS: i to the right, j to the front, k to the head, so that the stored picture is upside down.
    let voxels = Array3::from_shape_fn((3, 4, 5), |(k, j, i)| (k * 20 + j * 5 + i) as f32);
    let map =
        |columns: [[f64; 3]; 3]| LpsFromIndex::from_columns(columns[0], columns[1], columns[2], [0.0; 3]);
    let ras = map([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]);
    let volume = Volume { voxels, lps_from_index: ras, modality: Modality::Mr };
    let window = WindowChoice::Numbers(loupe_core::window::Window::between(0.0, 255.0));
    let at = |volume: &Volume, plane| {
        let view =
            View { plane, slice: Some(SliceAt::Index(1)), window: Some(window.clone()), ..View::default() };
        shown(volume, &view).unwrap()
    };
    let (stored, upright) = (at(&volume, Plane::Stored), at(&volume, Plane::Upright));
    let turned: Vec<u8> = stored.pixels().iter().rev().copied().collect();
    assert_eq!(upright.pixels(), turned);
    assert_eq!(upright.pixels(), at(&volume, Plane::Axial).pixels());
    assert!(upright.origin.steps.contains(&"upright: axial".to_owned()), "{:?}", upright.origin.steps);
    // Slices of a sagittal volume (i to the back, j to the head): head at the top, front on the left.
    let sagittal = map([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    let volume = Volume { lps_from_index: sagittal, ..volume };
    let upright = at(&volume, Plane::Upright);
    assert_eq!((upright.width(), upright.height()), (5, 4));
    let stored = at(&volume, Plane::Stored);
    assert_eq!(&upright.pixels()[..5], &stored.pixels()[15..]);
    assert!(upright.origin.steps.contains(&"upright: sagittal".to_owned()));
}

#[test]
fn label_maps_come_back_as_they_were_written() {
    let labels = Array3::from_shape_fn((3, 4, 5), |(k, j, i)| ((i * j * k) % 7 * 1000) as u16);
    let columns = [[0.0, 1.5, 0.0], [-2.0, 0.0, 0.0], [0.0, 0.0, -3.0]];
    let lps_from_index = LpsFromIndex::from_columns(columns[0], columns[1], columns[2], [4.0, 5.0, 6.0]);
    let made = LabelVolume { labels, lps_from_index, names: Default::default() };
    for xform in [Xform::Nibabel, Xform::Itk] {
        let read = read_volume(&label_bytes(&made).unwrap(), 0, xform, &DecodeLimits::default()).unwrap();
        let back = labels_of(&read).unwrap();
        assert_eq!(back.labels, made.labels);
        assert!(far(back.lps_from_index.to_ras(), made.lps_from_index.to_ras()) < 1e-6);
    }
    // A shear is kept in the sform; ITK gets the slices straight above one another instead of a refusal.
    let tilted =
        LpsFromIndex::from_columns([1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.6, 3.0], [4.0, 5.0, 6.0]);
    let sheared = LabelVolume { lps_from_index: tilted, ..made.clone() };
    let read =
        |xform| read_volume(&label_bytes(&sheared).unwrap(), 0, xform, &DecodeLimits::default()).unwrap();
    let (ours, itk) = (read(Xform::Nibabel), read(Xform::Itk));
    assert!(far(ours.volume.lps_from_index.to_ras(), tilted.to_ras()) < 1e-5);
    let straight = itk.volume.lps_from_index;
    assert!(straight.tilt_degrees() < 1e-3 && (straight.spacing_mm()[2] - 0.6f64.hypot(3.0)).abs() < 1e-5);
    assert!(loupe_preprocess::nifti::shear_note(&tilted).unwrap().contains("11.31°"));
    assert_eq!(loupe_preprocess::nifti::shear_note(&made.lps_from_index), None);
    let halves =
        Volume { voxels: Array3::from_elem((1, 1, 1), 0.5), lps_from_index, modality: Modality::Labels };
    let read =
        read_volume(&volume_bytes(&halves).unwrap(), 0, Xform::Nibabel, &DecodeLimits::default()).unwrap();
    assert!(labels_of(&read).unwrap_err().to_string().contains("0.5 is no label"));
}

#[test]
fn segment_names_belong_to_their_layer() {
    let open = |n| {
        open_volume(&small().join("layers.seg.nrrd"), n, Xform::Nibabel, &DecodeLimits::default()).unwrap()
    };
    assert_eq!(open(0).label_names.into_iter().collect::<Vec<_>>(), [(1, "Liver".to_owned())]);
    assert_eq!(open(1).label_names.into_iter().collect::<Vec<_>>(), [(2, "Tumour".to_owned())]);
}

#[test]
fn broken_fields_are_named() {
    let good = std::fs::read(small().join("slope.nii")).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        read_volume(&bad, 0, Xform::Nibabel, &DecodeLimits::default()).map(|_| ()).unwrap_err().to_string()
    };
    for (at, bytes, name) in [
        (40, 9i16.to_le_bytes().to_vec(), "dim[0]"),
        (42, (-3i16).to_le_bytes().to_vec(), "dim[1]"),
        (70, 9999i16.to_le_bytes().to_vec(), "datatype"),
        (70, 1536i16.to_le_bytes().to_vec(), "datatype 1536"),
        (108, f32::NAN.to_le_bytes().to_vec(), "vox_offset"),
        (108, (-4f32).to_le_bytes().to_vec(), "vox_offset"),
        (108, 0f32.to_le_bytes().to_vec(), "vox_offset"),
        (108, 1e30f32.to_le_bytes().to_vec(), "vox_offset"),
        (116, f32::INFINITY.to_le_bytes().to_vec(), "scl_inter"),
        (42, [i16::MAX.to_le_bytes(); 3].concat(), "--decode-max-pixels"),
        (42, [2000i16.to_le_bytes(), 2000i16.to_le_bytes(), 100i16.to_le_bytes()].concat(), "image data"),
    ] {
        let message = with(at, &bytes);
        assert!(message.contains(name), "{name}: {message}");
    }
    let cut = read_volume(&good[..good.len() - 1], 0, Xform::Nibabel, &DecodeLimits::default()).unwrap_err();
    assert!(cut.to_string().contains("image data"), "{cut}");
}

#[test]
fn a_file_name_may_not_lead_out_of_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    std::fs::write(dir.path().join("secret.raw"), b"x").unwrap();
    std::fs::write(dir.path().join("in/ok.raw"), b"x").unwrap();
    let folder = dir.path().join("in");
    assert!(inside(&folder, "ok.raw").is_ok() && inside(&folder, "./ok.raw").is_ok());
    let secret = dir.path().join("secret.raw");
    for name in ["../secret.raw", secret.to_str().unwrap(), "https://x/y", "in/../../secret.raw"] {
        assert!(matches!(inside(&folder, name), Err(MediaError::View(_))), "{name}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&secret, folder.join("link.raw")).unwrap();
        assert!(matches!(inside(&folder, "link.raw"), Err(MediaError::View(_))));
    }
    let text = "ObjectType = Image\nNDims = 3\nDimSize = 1 1 1\nElementType = MET_UCHAR\nElementDataFile = ../secret.raw\n";
    std::fs::write(folder.join("bad.mhd"), text).unwrap();
    assert!(matches!(
        open_volume(&folder.join("bad.mhd"), 0, Xform::Nibabel, &DecodeLimits::default()),
        Err(MediaError::View(_))
    ));
    let loader = Loader::new(DecodeLimits::default()).within(&folder);
    assert!(matches!(loader.load(&MediaRef::file(secret)), Err(MediaError::View(_))));
}

#[test]
fn the_loader_reads_what_it_is_given() {
    let loader = Loader::new(DecodeLimits::default());
    let media = |file: &str, view| MediaRef { view, ..MediaRef::file(small().join(file)) };
    let time = loader.load(&media("time.nii.gz", View { frame: Some(1), ..View::default() })).unwrap();
    assert_eq!((time.origin.frame, time.origin.slice, time.width(), time.height()), (Some(1), Some(2), 7, 5));
    assert_eq!(time.origin.source.as_deref(), Some("time.nii.gz"));
    assert!(time.origin.steps.iter().any(|s| s.starts_with("geometry: ")), "{:?}", time.origin.steps);
    let again = loader.load(&media("time.nii.gz", View { frame: Some(1), ..View::default() })).unwrap();
    assert_eq!(time, again);
    assert!(loader.load(&media("time.nii.gz", View { frame: Some(3), ..View::default() })).is_err());
    for file in ["pair.img", "pair.hdr", "analyze.img", "i2.mha", "u2.nrrd", "apart.nhdr"] {
        let picture = loader.load(&media(file, View::default())).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!((picture.width(), picture.height()), (7, 5), "{file}");
    }
    let bytes = std::fs::read(small().join("nifti2.nii.gz")).unwrap();
    let read = read_volume(&bytes, 0, Xform::Nibabel, &DecodeLimits::default()).unwrap();
    assert_eq!(read.volume.shape(), [4, 5, 7]);
    assert_eq!(loader.load(&MediaRef::file("/nowhere/at.all")), Err(MediaError::NotFound));
    assert_eq!(VolumeFormat::sniff(b"GIF89a"), None);
}

#[test]
fn plain_files_equal_the_nifti_crate() {
    use nifti::{IntoNdArray, NiftiObject, ReaderOptions};
    for name in ["le_i2.nii", "be_f4.nii", "slope.nii", "le_u8.nii"] {
        let theirs = ReaderOptions::new().read_file(small().join(name)).unwrap();
        let theirs = theirs.into_volume().into_ndarray::<f64>().unwrap();
        let ours = open_volume(&small().join(name), 0, Xform::Nibabel, &DecodeLimits::default()).unwrap();
        for (index, value) in ours.volume.voxels.indexed_iter() {
            let other = theirs[[index.2, index.1, index.0]];
            assert!(
                (f64::from(*value) - other).abs() <= 1e-6 * other.abs(),
                "{name} {index:?} {value} {other}"
            );
        }
    }
}

#[test]
fn percentiles_equal_numpy() {
    // numpy.percentile([3, 1, 4, 1, 5, 9, 2, 6], [0, 0.5, 33, 50, 99.5, 100])
    let values = [3.0, 1.0, 4.0, f32::NAN, 1.0, 5.0, 9.0, 2.0, 6.0];
    let got = percentiles(&values, [0.0, 0.5, 33.0, 50.0, 99.5, 100.0]).unwrap();
    for (g, w) in got.iter().zip([1.0, 1.0, 2.31, 3.5, 8.895, 9.0]) {
        assert!((g - w).abs() < 1e-9, "{got:?}");
    }
    assert_eq!(percentiles(&[f32::NAN], [50.0]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn damaged_files_are_answered(which in 0usize..12, cut in 0.0f64..1.5, at in 0.0f64..1.0, header: bool, noise in prop::collection::vec(any::<u8>(), 1..17)) {
        let names = ["slope.nii", "nifti2_be.nii", "time.nii.gz", "members.nii.gz", "rgb.nii", "complex64.nii",
            "i2.mha", "u1.mha", "u2.nrrd", "layers.seg.nrrd", "c_i2.npy", "four.npy"];
        let mut bytes = std::fs::read(small().join(names[which])).unwrap();
        let reach = if header { bytes.len().min(360) } else { bytes.len() };
        let start = (at * reach as f64) as usize;
        for (slot, n) in bytes[start..].iter_mut().zip(&noise) { *slot = *n; }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        let limits = DecodeLimits { max_pixels: 1 << 20, max_memory_bytes: 64 << 20 };
        for xform in [Xform::Nibabel, Xform::Itk] {
            if let Ok(read) = read_volume(&bytes, 0, xform, &limits) {
                prop_assert!(read.volume.voxels.len() <= 1 << 20);
                for plane in [Plane::Stored, Plane::Axial, Plane::Coronal, Plane::Sagittal] {
                    let _ = read.picture(&View { plane, ..View::default() });
                }
            }
        }
    }

    #[test]
    fn a_slice_of_the_array_is_the_picture(w in 1usize..9, h in 1usize..9, d in 1usize..5, n in 0usize..5) {
        let n = n % d;
        let voxels = Array3::from_shape_fn((d, h, w), |(k, j, i)| (i + 9 * j + 81 * k) as f32 % 256.0);
        let volume = Volume { voxels, lps_from_index: LpsFromIndex::IDENTITY, modality: Modality::Mr };
        let numbers = loupe_core::window::Window::between(0.0, 255.0);
        let view = View { slice: Some(SliceAt::Index(n)), window: Some(WindowChoice::Numbers(numbers)), ..View::default() };
        let picture = shown(&volume, &view).unwrap();
        let plain: Vec<u8> = volume.voxels.slice(s![n, .., ..]).iter().map(|v| *v as u8).collect();
        prop_assert_eq!(picture.pixels(), &plain[..]);
        // Benchmarks slice the array (i, j, k); ours is stored as (k, j, i).
        let array = volume.voxels.view().reversed_axes();
        for (plane, axis) in [(Plane::AcrossI, 0), (Plane::AcrossJ, 1), (Plane::AcrossK, 2)] {
            let n = n % array.shape()[axis];
            let wanted = array.index_axis(ndarray::Axis(axis), n);
            let picture = shown(&volume, &View { plane, slice: Some(SliceAt::Index(n)), ..view.clone() }).unwrap();
            prop_assert_eq!([picture.height(), picture.width()], [wanted.shape()[0], wanted.shape()[1]]);
            prop_assert_eq!(picture.pixels().to_vec(), wanted.iter().map(|v| *v as u8).collect::<Vec<_>>());
            let at = picture.origin.lps_from_source.unwrap().apply(loupe_core::Point2::new(0.5, 0.5));
            let mut corner = [0.0; 3];
            corner[axis] = n as f64;
            prop_assert_eq!(at, corner);
        }
    }
}
