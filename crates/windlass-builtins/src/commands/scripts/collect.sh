# $source; $to; $name or nothing; $archive (auto, zip, tar.gz, none); choose: calls chosen with what was named;
# walk PATH...: all that lies there
[ -d "$source" ] || fail "$source: no such directory"
cd -P "$source" || exit 1
mkdir -p "${to%/*}/" || exit 1
make_temp "${to%/*}"
mkdir "$temp/out" || exit 1
need() {
  command -v "$1" >/dev/null 2>&1
}
chosen() {
  count=$#
  for one; do
    absent "$one" && fail "there is no ${one#./} in $source"
    # A link may lie in an archive; what it leads to may not be had through it.
    case ${one%/*}/ in
      ./ | "$one/") ;;
      *) inside . "${one%/*}" ;;
    esac
  done
  if [ "$count" = 1 ] && [ ! -d "$1" ]; then
    single=$1
    inside . "$1"
    [ -f "$1" ] || fail "${1#./} is no file"
  else
    single=
    walk "$@" >"$temp/found" || exit 1
  fi
}
choose
if [ "$archive" = none ] && [ -z "$single" ]; then
  fail "what was named is no single file; let it be archived"
fi
safe_name() {
  case $1 in
    -* | . | .. | *[!A-Za-z0-9._+~@=,%:-]*) fail "\"$1\" is no name for a resource: letters, digits and . _ + ~ - @ = , % : only; give it a name" ;;
  esac
}
if [ -n "$single" ]; then
  case $archive in
    auto | none)
      name=${name:-${single##*/}}
      safe_name "$name"
      cp -p "$single" "$temp/out/$name" || exit 1
      chmod u+rw "$temp/out/$name" || exit 1
      finished=yes
      ;;
    *) printf '%s\n' "$single" >"$temp/found" ;;
  esac
fi
if [ -z "${finished:-}" ]; then
  [ "$archive" != auto ] || archive=zip
  name=${name:-${to##*/}.$archive}
  safe_name "$name"
  case $name in
    *."$archive") ;;
    *) name=$name.$archive ;;
  esac
  sed -e 's|^\./||' -e '/^\.$/d' "$temp/found" | sort -u >"$temp/list" || exit 1
  [ -s "$temp/list" ] || fail "there is nothing to archive"
  mkdir "$temp/tree" || exit 1
  while IFS= read -r entry; do
    if [ -L "$entry" ]; then
      :
    elif [ -d "$entry" ]; then
      mkdir -p "$temp/tree/$entry" || exit 1
      continue
    elif [ ! -f "$entry" ]; then
      fail "$entry is neither a file, nor a directory, nor a link, or its name holds a line break"
    fi
    case $entry in
      */*) mkdir -p "$temp/tree/${entry%/*}" || exit 1 ;;
    esac
    printf '%s\n' "$entry" >>"$temp/files" || exit 1
  done <"$temp/list"
  # One copy for all: a process a file would take its time.
  if [ -s "$temp/files" ]; then
    tar -cf - -T "$temp/files" | tar -xof - -C "$temp/tree" || fail "the files cannot be copied"
  fi
  cd "$temp/tree" || exit 1
  # The same files, whoever built them and when: the same bytes.
  find . -type d -exec chmod 755 {} + || exit 1
  find . -type f -perm -100 -exec chmod 755 {} + || exit 1
  find . -type f ! -perm -100 -exec chmod 644 {} + || exit 1
  TZ=UTC
  export TZ
  find . ! -type l -exec touch -t 198001010000 {} + || exit 1
  find . -type l -exec touch -h -t 198001010000 {} + 2>/dev/null
  find . ! -name . -print | sed 's|^\./||' | sort >"$temp/list" || exit 1
  out=$temp/out/$name
  if [ "$archive" = zip ] && need zip; then
    zip -q -X -y "$out" -@ <"$temp/list" >&2 || fail "zip: exit status $?"
  elif [ "$archive" = tar.gz ] && tar --version 2>/dev/null | grep -q GNU; then
    tar --format=gnu --owner=0 --group=0 --numeric-owner --no-recursion -cf "$temp/all.tar" -T "$temp/list" || exit 1
    gzip -n -c <"$temp/all.tar" >"$out" || exit 1
  elif need python3; then
    python3 -c 'import gzip, os, stat, sys, tarfile, zipfile
kind, out, names = sys.argv[1:]
names = [os.fsdecode(line) for line in open(names, "rb").read().split(b"\n") if line]
if kind == "zip":
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            mode = os.lstat(name).st_mode
            entry = zipfile.ZipInfo(name + "/" * stat.S_ISDIR(mode), (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            if stat.S_ISLNK(mode):
                archive.writestr(entry, os.fsencode(os.readlink(name)))
            elif stat.S_ISDIR(mode):
                archive.writestr(entry, b"")
            else:
                with open(name, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                    for block in iter(lambda: source.read(1 << 20), b""):
                        target.write(block)
else:
    def plain(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = 315532800
        return entry
    with open(out, "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name in names:
                archive.add(name, recursive=False, filter=plain)
' "$archive" "$out" "$temp/list" || fail "python3 cannot make $name"
  else
    fail "this host has neither what makes a $archive nor python3"
  fi
  cd / || exit 1
fi
if absent "$to"; then
  rename "$temp/out" "$to" || exit 1
else
  swap "$temp/out" "$to"
fi
printf '%s\n' "$name"
exit 0
