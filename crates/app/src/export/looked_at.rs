//! What an export is made of: images that were looked at, what was found on them, and the objects they are stored in.

use super::source::headers;
use crate::error::AppError;
use loupe_core::geometry::Map2;
use loupe_core::{
    DecodeLimits, Finding, LabelledMasks, MediaError, MediaLoader, MediaRef, MediaSource, Origin, Plane,
};
use loupe_preprocess::Loader;
use loupe_report::dicom::{Author, SourceFile, SourceStudy};
use loupe_report::exports::{Export, ExportError, ExportImage, ExportOptions, Exported, ImageFinding, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// An image that was looked at.
pub(super) struct LookedAtImage {
    /// Its name, another one for each image.
    name: String,
    /// The whole view.
    origin: Origin,
    /// Where its pixels are.
    media: MediaRef,
    /// Study Instance UID, and SOP Instance UIDs of the objects that it is stored in.
    stored: Option<StoredIn>,
}

/// What tells images apart: path or name, frame, slice, plane, size.
type ImageKey = (PathBuf, Option<usize>, Option<usize>, Option<&'static str>, [usize; 2]);

/// Study Instance UID, and SOP Instance UIDs of the objects that an image is stored in.
type StoredIn = (String, Vec<String>);

/// Everything that was looked at, and what was found.
#[derive(Default)]
pub(super) struct LookedAt {
    images: Vec<LookedAtImage>,
    /// The number of each image.
    numbers: BTreeMap<ImageKey, usize>,
    /// Names that are taken.
    names: BTreeSet<String>,
    /// Findings with the number of their image.
    found: Vec<(usize, Finding)>,
    /// What the set says, likewise.
    references: Vec<(usize, Finding)>,
    /// Objects by Study Instance UID.
    studies: BTreeMap<String, Vec<SourceFile>>,
    /// Paths and frames whose objects are known, with their studies and instances.
    known: BTreeMap<(PathBuf, Option<usize>), Option<StoredIn>>,
    /// Labels on the grid of the one series, by its UID.
    pub(super) labels: Option<(String, LabelledMasks)>,
    /// Who made the findings.
    pub(super) author: Author,
    /// What has to be said.
    pub(super) notes: Vec<String>,
}

/// The images and findings of one export.
pub(super) struct Part {
    /// Where its files go, from the folder that was asked for on.
    pub(super) folder: PathBuf,
    study: Option<String>,
    /// Numbers of its images, rising.
    images: Vec<usize>,
}

impl LookedAt {
    /// Nothing so far; findings will be theirs.
    pub(super) fn by(author: Author) -> Self {
        Self { author, ..Self::default() }
    }

    /// Number of findings.
    pub(super) fn findings(&self) -> usize {
        self.found.len()
    }

    /// The number of the image that a picture with this origin shows a part of; it is entered when it is new.
    pub(super) fn image(&mut self, origin: &Origin, name: &str, media: MediaRef, loader: &Loader) -> usize {
        let place = match &media.source {
            MediaSource::File(path) | MediaSource::Folder(path) => path.clone(),
            MediaSource::Bytes(_) => PathBuf::from(name),
        };
        let plane = origin.plane.map(Plane::name);
        let key = (place, origin.frame, origin.slice, plane, origin.source_size);
        if let Some(at) = self.numbers.get(&key) {
            return *at;
        }
        let mut own = name.to_owned();
        let mut n = 1;
        while !self.names.insert(own.clone()) {
            n += 1;
            own = format!("{name} ({n})");
        }
        self.numbers.insert(key, self.images.len());
        let stored = self.stored(&media, loader);
        let origin = Origin { source_from_self: Map2::identity(), ..origin.clone() };
        self.images.push(LookedAtImage { name: own, origin, media, stored });
        self.images.len() - 1
    }

    /// The whole view of an image.
    pub(super) fn whole(&self, image: usize) -> Origin {
        self.images.get(image).map_or_else(Origin::unknown, |i| i.origin.clone())
    }

    /// The number of the first image, when there is one.
    pub(super) fn first_image(&self) -> Option<usize> {
        (!self.images.is_empty()).then_some(0)
    }

    /// Adds a finding on an image.
    pub(super) fn find(&mut self, image: usize, finding: Finding) {
        self.found.push((image, finding));
    }

    /// Adds a reference on an image.
    pub(super) fn refer(&mut self, image: usize, finding: Finding) {
        self.references.push((image, finding));
    }

    /// The objects that an image is stored in: those of its own series, where several lie in a folder.
    fn stored(&mut self, media: &MediaRef, loader: &Loader) -> Option<(String, Vec<String>)> {
        let (MediaSource::File(path) | MediaSource::Folder(path)) = &media.source else { return None };
        let key = (path.clone(), media.view.frame);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let found = self.objects(path, media, loader);
        self.known.insert(key, found.clone());
        found
    }

    fn objects(&mut self, path: &Path, media: &MediaRef, loader: &Loader) -> Option<(String, Vec<String>)> {
        let instances = loader.open(&media.source).ok()?.instances(&media.view).ok()?;
        let instances: Vec<String> = instances.into_iter().filter_map(|(_, i)| i.sop_instance_uid).collect();
        if instances.is_empty() {
            return None;
        }
        let limits: &DecodeLimits = loader.limits();
        let files: Vec<SourceFile> =
            headers(path, limits).ok()?.into_iter().filter(|f| instances.contains(&f.instance)).collect();
        let study = files.first()?.study.clone();
        let known = self.studies.entry(study.clone()).or_default();
        for file in files.into_iter().filter(|f| f.study == study) {
            if known.iter().all(|k| k.instance != file.instance) {
                known.push(file);
            }
        }
        Some((study, instances))
    }

    /// The Series Instance UID of an image.
    pub(super) fn series_of(&self, image: usize) -> Option<String> {
        let (study, instances) = self.images.get(image)?.stored.as_ref()?;
        let files = self.studies.get(study)?;
        files.iter().find(|f| instances.contains(&f.instance)).map(|f| f.series.clone())
    }

    /// The exports that are made: one of everything, or one a study.
    pub(super) fn parts(&self, scope: Scope) -> Vec<Part> {
        let all = |study: Option<&String>| {
            let own = |i: &&LookedAtImage| study.is_none() || i.stored.as_ref().map(|(s, _)| s) == study;
            (0..).zip(&self.images).filter(|(_, i)| own(i)).map(|(n, _)| n).collect()
        };
        match scope {
            Scope::Everything => vec![Part { folder: PathBuf::new(), study: None, images: all(None) }],
            Scope::Study => {
                let several = self.studies.len() > 1;
                let part = |(n, study): (usize, &String)| Part {
                    folder: if several { format!("study-{:03}", n + 1).into() } else { PathBuf::new() },
                    study: Some(study.clone()),
                    images: all(Some(study)),
                };
                self.studies.keys().enumerate().map(part).collect()
            }
        }
    }

    /// Does `write` with what it needs of a part.
    ///
    /// # Errors
    /// Its own, and when the objects of the part make no study.
    pub(super) fn with_export(
        &self,
        part: &Part,
        loader: &Loader,
        options: &ExportOptions,
        write: fn(&Export<'_>) -> Result<Exported, ExportError>,
    ) -> Result<Exported, AppError> {
        let study = match &part.study {
            Some(uid) => {
                let files = self.studies.get(uid).cloned().unwrap_or_default();
                Some(SourceStudy::of(files).map_err(ExportError::from)?)
            }
            None if self.studies.is_empty() => None,
            None => Some(SourceStudy::of_several(self.studies.values().flatten().cloned().collect())),
        };
        let of_image = |image: &LookedAtImage| -> Vec<usize> {
            let (Some(study), Some((_, instances))) = (&study, &image.stored) else { return Vec::new() };
            let own = (0..).zip(&study.files).filter(|(_, f)| instances.contains(&f.instance));
            own.map(|(n, _)| n).collect()
        };
        let looked: Vec<&LookedAtImage> = part.images.iter().filter_map(|n| self.images.get(*n)).collect();
        let numbers: Vec<Vec<usize>> = looked.iter().map(|i| of_image(i)).collect();
        let images: Vec<ExportImage<'_>> = looked
            .iter()
            .zip(&numbers)
            .map(|(image, files)| ExportImage {
                name: &image.name,
                size: image.origin.source_size,
                origin: Some(&image.origin),
                files,
            })
            .collect();
        let findings = self.named(part, &self.found);
        let references = self.named(part, &self.references);
        let pictures = |n: usize| -> Result<_, MediaError> {
            let image = looked.get(n).ok_or(MediaError::NotFound)?;
            match &image.media.source {
                MediaSource::Bytes(bytes) if bytes.is_empty() => Err(MediaError::NotFound),
                _ => loader.load(&image.media),
            }
        };
        Ok(write(&Export {
            images: &images,
            findings: &findings,
            references: &references,
            study: study.as_ref(),
            labels: self.labels.as_ref().map(|(series, masks)| (series.as_str(), masks)),
            author: &self.author,
            pictures: &pictures,
            options,
        })?)
    }

    /// Those of `all` that lie on images of the part, under the images' names.
    fn named<'a>(&'a self, part: &Part, all: &'a [(usize, Finding)]) -> Vec<ImageFinding<'a>> {
        let own = all.iter().filter(|(image, _)| part.images.binary_search(image).is_ok());
        own.filter_map(|(image, finding)| {
            Some(ImageFinding { image: &self.images.get(*image)?.name, finding })
        })
        .collect()
    }
}
