//! `loupe serve --model DIR`

use crate::args::image::SizeArgs;
use crate::args::model::{ModelArgs, megabytes};
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::open::ImageOptions;
use loupe_serve::{ServeLimits, ServeOptions, Server, Token};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the token is looked for when no file is named.
const TOKEN: &str = "LOUPE_SERVE_TOKEN";

/// Serve a model to other programs over OpenAI's protocol: chat completions with pictures, and decisions.
///
/// Only this machine reaches it unless --host says otherwise, which needs a token in LOUPE_SERVE_TOKEN or a file
/// (--token-file). SIGTERM and SIGINT end it when what is in work is answered, a second one at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Address to listen on; 0.0.0.0 for all of this machine.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,

    /// Port to listen on; 0 takes a free one.
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,

    /// What clients call the model; the name of its folder when not given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// File with the token that clients must send as their API key.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Most replies generated at a time; as many as memory allows when not given.
    #[arg(long, value_name = "N")]
    batch: Option<usize>,

    /// Most requests at a time, those that wait included; further ones are told to come again (429).
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().requests)]
    queue: usize,

    /// Most connections at a time.
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().connections)]
    max_connections: usize,

    /// Most tokens of a reply; also how many one may have that asks for no bound.
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().reply_tokens)]
    max_tokens: usize,

    /// Fetch pictures that requests give by address from this host, over https unless http:// stands before it; may be
    /// given several times. A host in a private network is named with its address: pacs.example.org=10.1.2.3.
    ///
    /// The scheme, host and port must be those that were named; redirects are not followed, and a name that leads to a private
    /// address or this machine is refused unless it was named with that address. Without this option nothing is fetched.
    #[arg(long, value_name = "HOST[:PORT][=ADDRESS]")]
    allow_pictures_from: Vec<String>,

    /// Most megabytes of a request, and of the pictures that are fetched for it.
    #[arg(long, value_name = "MB", default_value_t = 64)]
    max_body: u64,

    /// Most pictures of a request.
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().pictures)]
    max_pictures: usize,

    /// Most megabytes of the decoded pictures of all requests together.
    #[arg(long, value_name = "MB", default_value_t = 2048)]
    max_picture_memory: u64,

    /// Most megabytes of decoded pictures kept for later requests, which often ask about the same ones; 0 keeps none.
    #[arg(long, value_name = "MB", default_value_t = 256)]
    keep_pictures: u64,

    /// Most seconds that a client may take to send a request, or take nothing of its reply, and that its pictures may take to
    /// be fetched.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    #[command(flatten)]
    sizes: SizeArgs,
}

impl Args {
    fn options(&self) -> Result<ServeOptions> {
        let token = match (&self.token_file, std::env::var_os(TOKEN)) {
            (Some(file), _) => Some(Token::read(file)?),
            (None, Some(text)) => Some(Token::new(&text.to_string_lossy(), TOKEN)?),
            (None, None) => None,
        };
        let usual = ServeLimits::default();
        let timeout = Duration::from_secs(self.timeout);
        Ok(ServeOptions {
            address: SocketAddr::new(self.host, self.port),
            name: self.name.clone(),
            token,
            limits: ServeLimits {
                connections: self.max_connections,
                requests: self.queue,
                body_bytes: usize::try_from(megabytes(self.max_body))?,
                pictures: self.max_pictures,
                picture_bytes: megabytes(self.max_picture_memory),
                kept_picture_bytes: megabytes(self.keep_pictures),
                reply_tokens: self.max_tokens,
                head_timeout: usual.head_timeout.min(timeout),
                body_timeout: timeout,
                write_timeout: timeout,
                ..usual
            },
            fetcher: loupe_app::served::fetcher(&self.allow_pictures_from)?,
            on_signals: true,
        })
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = args.options()?;
    let model = args.model.options(args.batch)?;
    // Those who decode at the same time share the memory.
    let mut limits = args.sizes.limits();
    limits = limits.with_memory(limits.max_memory_bytes / options.limits.decoders.max(1) as u64);
    let loader = Arc::new(ImageOptions { limits, ..ImageOptions::default() }.loader());
    // A port that is taken is told before the model is loaded.
    let server = Server::bind(options)?;
    let mut model = model.open()?;
    let (url, info) = (format!("http://{}/v1", server.address()), model.info().clone());
    for note in info.notes() {
        out.say(&format!("note: {note}"));
    }
    let name = args.name.as_deref().unwrap_or(&info.name);
    if out.json {
        out.document(&json!({"url": url, "model": name, "info": info}))?;
    } else {
        out.line(&url)?;
        out.say(&format!("serving {name} ({})", info.described()));
    }
    let ended = server.run(model.as_mut(), loader)?;
    Ok(ended.signal.and_then(|n| u8::try_from(n).ok()).map_or(Ended::Well, Ended::Stopped))
}
