//! The server: a thread with all connections, and the model on the thread that runs it.

use crate::connection::accept;
use crate::desk::{Desk, ModelGuard, ModelSide};
use crate::error::ServeError;
use crate::house::House;
use crate::metrics::Metrics;
use crate::options::ServeOptions;
use loupe_core::{MediaLoader, VisionLanguageModel};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long connections may take to end when everything is answered, at most.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A server that has its address and no model yet: clients that come wait for it.
#[derive(Debug)]
pub struct Server {
    options: ServeOptions,
    listener: TcpListener,
    address: SocketAddr,
    desk: Arc<Desk>,
    metrics: Arc<Metrics>,
}

/// Ends a server from elsewhere.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Desk>);

impl Stopper {
    /// Lets no request in any more; the server ends when those within are answered.
    pub fn finish(&self) {
        self.0.close();
    }

    /// Ends it without answering what is in work.
    pub fn abandon(&self) {
        self.0.abandon();
    }
}

/// How a server ended that was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The signal that ended it, when one did.
    pub signal: Option<i32>,
}

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    /// When it cannot be had, when it can be reached from other machines and no token is asked for, or when a limit
    /// makes no sense.
    pub fn bind(options: ServeOptions) -> Result<Self, ServeError> {
        options.limits.check()?;
        let wanted = options.address;
        if options.token.is_none() && !wanted.ip().is_loopback() {
            return Err(ServeError::Open(wanted));
        }
        let unheard = |e: std::io::Error| ServeError::Listen { address: wanted, problem: e.to_string() };
        let listener = TcpListener::bind(wanted).map_err(unheard)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let metrics = Arc::new(Metrics::default());
        let limits = &options.limits;
        let desk = Desk::new(limits.requests, limits.picture_bytes, Arc::clone(&metrics));
        Ok(Self { options, listener, address, desk, metrics })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.desk))
    }

    /// Serves the model until the server is ended. `loader` decodes the pictures of requests, which come as bytes.
    ///
    /// # Errors
    /// When the system does not give a thread or the like, or the model ends on its own.
    pub fn run(
        self,
        model: &mut dyn VisionLanguageModel,
        loader: Arc<dyn MediaLoader>,
    ) -> Result<Ended, ServeError> {
        let Self { options, listener, desk, metrics, .. } = self;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(options.limits.decoders.saturating_add(options.limits.fetchers))
            .build()?;
        let on_signals = options.on_signals;
        let house = Arc::new(House::new(options, Arc::clone(&desk), metrics, model, loader));
        let signal = Arc::new(AtomicI32::new(0));
        let (over, mut model_is_over) = watch::channel(false);
        let listener = {
            let _inside = runtime.enter();
            if on_signals {
                signals::watch(&desk, &signal)?;
            }
            tokio::net::TcpListener::from_std(listener)?
        };
        let clients = async move {
            let (end, ending) = watch::channel(false);
            let accepting = tokio::spawn(accept(listener, Arc::clone(&house), ending));
            // Told, or the model's thread has unwound.
            let _ = model_is_over.wait_for(|over| *over).await;
            accepting.abort();
            let _ = end.send(true);
            let within = house.limits.write_timeout.min(LAST_WORDS);
            let places = u32::try_from(house.limits.connections).unwrap_or(u32::MAX);
            let _ = tokio::time::timeout(within, house.places.acquire_many(places)).await;
        };
        let as_told = std::thread::scope(|scope| -> Result<bool, ServeError> {
            let over = over;
            let connections = std::thread::Builder::new().name("connections".into());
            connections.spawn_scoped(scope, || {
                runtime.block_on(clients);
                // A decoder that is still busy is not waited for.
                runtime.shutdown_background();
            })?;
            let gone = ModelGuard(Arc::clone(&desk));
            let mut replies = ModelSide(Arc::clone(&desk));
            model.serve(&mut ModelSide(Arc::clone(&desk)), &mut replies);
            let as_told = desk.is_closing();
            drop(gone);
            let _ = over.send(true);
            Ok(as_told)
        })?;
        if !as_told {
            return Err(ServeError::ModelEnded);
        }
        let signal = signal.load(Ordering::Relaxed);
        Ok(Ended { signal: (signal != 0).then_some(signal) })
    }
}

#[cfg(unix)]
mod signals {
    use super::{Arc, AtomicI32, Desk, Ordering};
    use tokio::signal::unix::{SignalKind, signal};

    /// The first signal ends the server when all is answered, the second one at once.
    pub(super) fn watch(desk: &Arc<Desk>, told: &Arc<AtomicI32>) -> std::io::Result<()> {
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let mut signals = signal(kind)?;
            let (desk, told) = (Arc::clone(desk), Arc::clone(told));
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if desk.is_closing() {
                        desk.abandon();
                    } else {
                        told.store(kind.as_raw_value(), Ordering::Relaxed);
                        desk.close();
                    }
                }
            });
        }
        Ok(())
    }
}

#[cfg(not(unix))]
mod signals {
    use super::{Arc, AtomicI32, Desk, Ordering};

    /// The first Ctrl-C ends the server when all is answered, the second one at once.
    pub(super) fn watch(desk: &Arc<Desk>, told: &Arc<AtomicI32>) -> std::io::Result<()> {
        /// Of an interrupt.
        const INTERRUPT: i32 = 2;
        let (desk, told) = (Arc::clone(desk), Arc::clone(told));
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if desk.is_closing() {
                    desk.abandon();
                } else {
                    told.store(INTERRUPT, Ordering::Relaxed);
                    desk.close();
                }
            }
        });
        Ok(())
    }
}
