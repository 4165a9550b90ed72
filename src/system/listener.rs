//! The socket to serve on: one of our own or the one that systemd holds, at an address or at a path. The standard library's types
//! for TCP carry both kinds, since all that matters below is that they are descriptors of stream sockets.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;

/// Connections that may wait to be accepted; the kernel takes fewer where its own limit is lower. The standard library asks
/// for 128: when more come at once, the next client's first packet is dropped, and sent again only a second later.
const BACKLOG: i32 = 4096;

/// Listens at an address and a port, or at `unix:/path`. Clients that connect wait until a server starts.
pub fn bind(place: &str) -> io::Result<TcpListener> {
    let listener = match place.strip_prefix("unix:") {
        None => TcpListener::bind(place)?,
        Some(path) => {
            // The socket of a program that has ended stays. It is not removed at the end: it could be the next one's by then.
            let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
            let is_left = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
            if is_socket && UnixStream::connect(path).is_err_and(is_left) {
                fs::remove_file(path)?;
            }
            OwnedFd::from(UnixListener::bind(path)?).into()
        }
    };
    // On a socket that listens already, it only sets the number.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// The socket that systemd holds (sd_listen_fds(3)), so that a restart refuses nobody: `None` if it holds none.
pub fn held() -> io::Result<Option<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    match sockets.len() {
        0 => Ok(None),
        1 => match sockets.take_unix_listener(0) {
            Ok(listener) => Ok(listener.map(|listener| OwnedFd::from(listener).into())),
            Err(_) => sockets.take_tcp_listener(0),
        },
        more => Err(io::Error::other(format!("{more} sockets were handed over, and one is served"))),
    }
}

/// Where a socket listens.
#[derive(Clone)]
pub enum Site {
    /// At an address and a port.
    Address(SocketAddr),
    /// At a path.
    Path(PathBuf),
}

impl Site {
    /// As `LISTEN` names it. One that means every interface is reached on this machine's own.
    pub fn named(place: &str) -> io::Result<Site> {
        let address = || place.to_socket_addrs()?.next().ok_or_else(|| ErrorKind::NotFound.into());
        place.strip_prefix("unix:").map_or_else(|| address().map(Site::Address), |path| Ok(Site::Path(path.into())))
    }

    /// That of this socket.
    pub fn of(listener: &TcpListener) -> io::Result<Site> {
        if let Ok(address) = listener.local_addr() {
            return Ok(Site::Address(address));
        }
        let address = UnixListener::from(OwnedFd::from(listener.try_clone()?)).local_addr()?;
        Ok(Site::Path(address.as_pathname().unwrap_or(Path::new("")).to_owned()))
    }

    /// Connects as a client does.
    pub fn connect(&self, within: Duration) -> io::Result<TcpStream> {
        match self {
            Site::Address(address) => TcpStream::connect_timeout(address, within),
            Site::Path(path) => Ok(OwnedFd::from(UnixStream::connect(path)?).into()),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Site::Address(address) => write!(f, "http://{address}"),
            Site::Path(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
