# $archive; $to; $strip (a number, or `single`)
unset TAR_OPTIONS EXTRACT_UNSAFE_SYMLINKS UNZIP UNZIPOPT ZIPINFO
line='
'
need() {
  command -v "$1" >/dev/null 2>&1 || fail "this host has no $1, which $archive needs"
}
# Why a program failed: the last that it said, for which a full disk has no room.
why() {
  last=$(grep -v '^ *$' "$temp/said" | tail -n 1)
  free=$(df -Pk "$temp" 2>/dev/null | awk 'NR == 2 { print $4 }')
  [ "${free:-1000}" -ge 16 ] || last="No space left on the disk${last:+: $last}"
  printf '%s\n' "$last"
}
refuse() {
  fail "refused, nothing was unpacked: $*"
}
format_of() {
  case $archive in
    *.tar.gz | *.tgz) echo gzip ;;
    *.tar.bz2 | *.tbz2 | *.tbz) echo bzip2 ;;
    *.tar.xz | *.txz) echo xz ;;
    *.tar.zst | *.tzst) echo zstd ;;
    *.zip | *.jar | *.war | *.ear) echo zip ;;
    *)
      case $(od -A n -t x1 -N 6 "$archive" | tr -d ' \n') in
        1f8b*) echo gzip ;;
        425a68*) echo bzip2 ;;
        fd377a585a00) echo xz ;;
        28b52ffd*) echo zstd ;;
        504b0304* | 504b0506*) echo zip ;;
        *)
          case $archive in
            *.tar)
              echo tar
              return
              ;;
          esac
          case $(dd if="$archive" bs=1 skip=257 count=5 2>/dev/null) in
            ustar) echo tar ;;
          esac
          ;;
      esac
      ;;
  esac
}
# What may come of the archive, in bytes: a hundred times its size (64 MiB of a small one), and no more than half of what is
# free, for it lies there twice for a moment.
bound() {
  size=$(wc -c <"$archive") || exit 1
  free=$(df -Pk "$temp" 2>/dev/null | awk 'NR == 2 { print $4 }')
  most=$(awk -v size="$size" 'BEGIN { most = size * 100; printf "%.0f", most < 67108864 ? 67108864 : most }') || exit 1
  much="more than $most bytes, a hundred times its size (64 MiB of a small one)"
  half=$(awk -v free="${free:-none}" -v most="$most" 'BEGIN { if (free != "none" && most > free * 512) printf "%.0f", free * 512 }')
  if [ -n "$half" ]; then
    most=$half
    much="more than the disk has room for: $most bytes, half of what is free"
  fi
}
# within BYTES PROGRAM...: no file that it writes becomes larger, or not much. (Some shells count in kilobytes: then twice as large.)
within() {
  (
    blocks=$(awk -v most="$1" 'BEGIN { printf "%.0f", most / 512 + 2048 }')
    # it fails where less is allowed already
    if ! ulimit -f "$blocks" 2>/dev/null && [ "$(ulimit -f)" = unlimited ]; then
      fail "this host's sh cannot limit what an archive becomes"
    fi
    shift
    "$@"
  )
}
# The names in $temp/names, one a line: none may be absolute or climb, or be too long to be dealt with by its path.
check_names() {
  bad=$(awk '
    NR > 1000000 { print "more than 1,000,000 entries"; exit }
    /^$/ { print "something without a name"; exit }
    length > 3000 { print "a name that is too long: " substr($0, 1, 60) "..."; exit }
    /^\// || /^[A-Za-z]:[\\\/]/ || /(^|[\/\\])\.\.([\/\\]|$)/ { print $0 ", which leads outside"; exit }
  ' "$temp/names") || exit 1
  [ -z "$bad" ] || refuse "the archive holds $bad"
}
# What `tar -tv` said, in $temp/long. tar implementations differ in what they hide, so the tree is looked at again later.
check_long() {
  bad=$(awk -v most="$most" -v much="$much" -v careless="$careless" -v kept="$temp/kinds" '
    function climbs(path) { return path ~ /^\// || path ~ /(^|\/)\.\.(\/|$)/ }
    {
      kind = substr($0, 1, 1)
      if (kind !~ /[-dlhC]/) { print "a device, a pipe or a name that cannot be shown: " $0; exit }
      name = $0
      size = 0
      if (sub(/^[^ ]+ +[^ ]+ +/, "", name)) size = name + 0
      if (!sub(/^[0-9]+ +[-0-9]+ +[0-9:.]+ /, "", name)) name = ""
      total += size
      if (total > most) { print much; exit }
      while (sub(/^\.\//, "", name)) { }
      gsub(/\/(\.?\/)+/, "/", name)
      if (careless) {
        # a file without contents whose name has an arrow is taken for a hard link
        leads = (kind == "l" || size == 0) ? index(name, " -> ") : 0
        plain = leads ? substr(name, 1, leads - 1) : name
        slash = sub(/\/$/, "", plain)
        if (plain in kinds && kinds[plain] != kind) { print plain " as two kinds of file"; exit }
        if (kind == "d" ? size > 0 : slash) { print "a directory with contents: " $0; exit }
        kinds[plain] = kind
        print kind plain >kept
        if (kind != "l" && leads) {
          target = substr(name, leads + 4)
          while (sub(/^\.\//, "", target)) { }
          if (!(target in kinds)) { print "a hard link to what comes later, if at all: " $0; exit }
        }
      }
      rest = $0
      while ((at = index(rest, " -> ")) > 0) {
        rest = substr(rest, at + 4)
        target = rest
        if (kind == "l") {
          deep = name
          sub(/ -> .*/, "", deep)
          deep = gsub(/\//, "/", deep)
          while (deep-- > 0 && sub(/^\.\.(\/+|$)/, "", target)) { }
        }
        if (climbs(target)) { print "a link that leads outside: " $0; exit }
      }
    }' "$temp/long") || exit 1
  [ -z "$bad" ] || refuse "the archive holds $bad"
}
# Busybox's tar heeds some of the records in which POSIX's format has names and sizes, and passes over the others without a
# word: what it unpacks would be another tree.
check_records() {
  [ -n "$careless" ] || return 0
  tr -s '\000' '\n' <"$tar" >"$temp/lines" || exit 1
  grep -F -e ' path=' -e ' linkpath=' -e ' size=' -e ' GNU.sparse.' "$temp/lines" >"$temp/records" || return 0
  # which of two ways to say a long name is heeded is another matter
  mixed=$(grep -F -e '././@LongLink' "$temp/lines" | head -n 1)
  [ -n "$mixed" ] || mixed=$(awk '
    /^ustar/ {
      is_pax = before ~ /^ ?x$/
      if (is_pax && was_pax) { print; exit }
      was_pax = is_pax
    }
    { before = $0 }' "$temp/lines")
  rm -f "$temp/lines"
  bad=$(awk -v mixed="$mixed" -v names="$temp/names" -v long="$temp/long" '
    BEGIN {
      while ((getline line <names) > 0) has[line] = 1
      while ((getline line <long) > 0) if ((at = index(line, " -> ")) > 0) leads[substr(line, at + 4)] = 1
    }
    # a record says how long it is, in bytes
    $1 !~ /^[0-9]+$/ || $1 + 0 <= length || $1 > 4 * length + 1 { next }
    {
      value = $0
      sub(/^[0-9]+ [^=]*=/, "", value)
      if (mixed || $2 ~ /^(size|GNU\.sparse\.[a-z]+)=/) print
      else if ($2 ~ /^path=/ && !(value in has)) print
      else if ($2 ~ /^linkpath=/ && !(value in leads)) print
      else next
      exit
    }' "$temp/records") || exit 1
  [ -z "$bad" ] || refuse "tar of this host does not understand a record of the archive ($bad); install GNU tar, or pack it with --format=gnu"
}
# It also goes on when something is in the way of what it unpacks.
check_kinds() {
  [ -n "$careless" ] || return 0
  while IFS= read -r want; do
    path=$temp/new/${want#?}
    case $want in
      d*) [ -d "$path" ] && [ ! -L "$path" ] ;;
      l*) [ -L "$path" ] ;;
      *) [ -f "$path" ] || [ -L "$path" ] ;;
    esac || refuse "the archive holds ${want#?} in the place of something else"
  done <"$temp/kinds"
}
unpack_tar() {
  careless=yes
  case $(tar --version 2>&1) in
    *GNU* | *bsdtar*) careless= ;;
  esac
  tar -tf - <"$tar" >"$temp/names" 2>"$temp/said" || fail "$archive: $(why)"
  [ -s "$temp/names" ] || fail "$archive: holds nothing"
  check_names
  tar -tvf - <"$tar" >"$temp/long" 2>>"$temp/said" || fail "$archive: $(why)"
  bad=$(grep 'emoving leading' "$temp/said" | head -n 1)
  [ -z "$bad" ] || refuse "the archive holds names or links that lead outside ($bad)"
  check_long
  check_records
  # -o: the files belong to who unpacks them
  within "$most" tar -xof - -C "$temp/new" <"$tar" 2>"$temp/said" || fail "$archive: $(why)"
  check_kinds
}
# $total is what the entries of a zip say they become.
check_total() {
  case $total in
    '' | *[!0-9]*) refuse "the archive does not say how large it becomes" ;;
  esac
  bad=$(awk -v total="$total" -v most="$most" 'BEGIN { if (total > most) print total }') || exit 1
  [ -z "$bad" ] || refuse "the archive holds $much"
}
unpack_zip() {
  if command -v unzip >/dev/null 2>&1; then
    worst=0
    if unzip -Z1 "$archive" >"$temp/names" 2>/dev/null; then
      # the real one, whose status 1 is a warning
      worst=1
      total=$(unzip -Zt "$archive" 2>/dev/null | sed -n 's/^[0-9]* files\{0,1\}, \([0-9]*\) bytes uncompressed.*/\1/p')
    else
      unzip -l "$archive" >"$temp/list" 2>"$temp/said" || fail "$archive: $(why)"
      sed -n 's/^ *[0-9][0-9]*  *[-0-9]* [0-9:]*   //p' "$temp/list" >"$temp/names" || exit 1
      total=$(sed -n '$s/^ *\([0-9]*\) .*/\1/p' "$temp/list")
    fi
    check_names
    check_total
    within "$total" unzip -q -o "$archive" -d "$temp/new" >"$temp/said" 2>&1 </dev/null
    status=$?
    [ "$status" -le "$worst" ] || fail "$archive: $(why)"
    bad=$(grep 'emoving leading' "$temp/said" | head -n 1)
    [ -z "$bad" ] || refuse "the archive holds names that lead outside ($bad)"
  elif command -v python3 >/dev/null 2>&1; then
    python3 -c 'import sys, zipfile
entries = zipfile.ZipFile(sys.argv[1]).infolist()
print(sum(entry.file_size for entry in entries), file=open(sys.argv[2], "w"))
for entry in entries:
    print(entry.filename)
    if entry.external_attr >> 28 not in (0, 4, 8):
        sys.exit("%r is a link or a device, and this host has no unzip" % entry.filename)
' "$archive" "$temp/total" >"$temp/names" 2>"$temp/said" || fail "$archive: $(why)"
    check_names
    total=$(cat "$temp/total") || exit 1
    check_total
    python3 -c 'import os, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for entry in archive.infolist():
    path = archive.extract(entry, sys.argv[2])
    mode = entry.external_attr >> 16 & 0o777
    if mode:
        os.chmod(path, mode | 0o200)
' "$archive" "$temp/new" 2>"$temp/said" || fail "$archive: $(why)"
  else
    fail "this host has neither unzip nor python3, one of which $archive needs"
  fi
}
# first WORD...: what find prints first in the new tree
first() {
  found=$(find . "$@" -print) || exit 1
  printf '%s\n' "$found" | head -n 1
}
check_tree() {
  bad=$(first -name '*[[:cntrl:]]*') || exit 1
  [ -z "$bad" ] || refuse "the archive holds a name with a control character: $bad"
  bad=$(first ! -type f ! -type d ! -type l) || exit 1
  [ -z "$bad" ] || refuse "the archive holds a device or a pipe: $bad"
  # every name of a file that has several must be in the tree
  find . ! -type d -links +1 -exec ls -lid {} + >"$temp/links" || exit 1
  bad=$(awk '{ has[$1]++; all[$1] = $3; name[$1] = $0 }
    END { for (i in has) if (has[i] != all[i]) { print name[i]; exit } }' "$temp/links") || exit 1
  [ -z "$bad" ] || refuse "the archive holds a hard link that leads outside: $bad"
}
# A symbolic link is relative and climbs, at its start only, not above the tree: so links of links stay inside as well.
check_links() {
  find . -type l -exec sh -c '
    for link; do
      target=$(readlink "$link") || exit 1
      dir=${link#./}
      rest=$target/
      while :; do
        case $rest in
          ../*)
            case $dir in
              */*) dir=${dir%/*} ;;
              *) rest=/ ; break ;;
            esac
            rest=${rest#../}
            ;;
          ./*) rest=${rest#./} ;;
          *) break ;;
        esac
      done
      case /$rest in
        //?* | // | */../*) printf "%s\n" "$link -> $target" ;;
      esac
    done' sh {} + >"$temp/bad" || exit 1
  bad=$(head -n 1 "$temp/bad")
  [ -z "$bad" ] || refuse "the archive holds a link that leads outside (or has .. amid its target): $bad"
}
there() {
  [ -e "$1" ] || [ -L "$1" ]
}
strip_one() {
  mkdir "$temp/stripped" || exit 1
  for top in "$temp/new"/* "$temp/new"/.[!.]* "$temp/new"/..?*; do
    if [ -L "$top" ] || [ ! -d "$top" ]; then
      continue
    fi
    for entry in "$top"/* "$top"/.[!.]* "$top"/..?*; do
      there "$entry" || continue
      if there "$temp/stripped/${entry##*/}"; then
        refuse "stripped of its first directories, the archive holds ${entry##*/} twice"
      fi
      mv "$entry" "$temp/stripped/" || exit 1
    done
  done
  rm -rf "$temp/new" || exit 1
  mv "$temp/stripped" "$temp/new" || exit 1
}
strip_tree() {
  if [ "$strip" = single ]; then
    top=$(ls -A "$temp/new") || exit 1
    case $top in
      '' | *"$line"*) return ;;
    esac
    if [ -d "$temp/new/$top" ] && [ ! -L "$temp/new/$top" ]; then
      strip_one
    fi
    return
  fi
  [ "$strip" -gt 0 ] || return 0
  while [ "$strip" -gt 0 ]; do
    strip_one
    strip=$((strip - 1))
  done
  [ -n "$(ls -A "$temp/new")" ] || refuse "nothing is left when so many directories are stripped"
}
# stand DIR (as of merge): goes there. No link was followed on the way, and none that comes later is: from there on
# names have no directories.
stand() {
  cd -P "$to/$1" || exit 1
  here=$(env pwd -P) || exit 1
  [ "${here%/}/" = "${to%/}/$1" ] || fail "$to/$1 was changed while it was unpacked to: it leads to $here"
}
# meets DO WHY: what is there and what was packed do not go together
meets() {
  [ "$1" = no ] || fail "$2: it was changed while it was unpacked to, and some of the archive is there"
  refuse "$2"
}
# merge DO DIR: each entry of DIR (a path in the tree that ends in a slash, or nothing) into $to; only looks unless DO is yes
merge() {
  stand "$2"
  for entry in "$temp/new/$2"* "$temp/new/$2".[!.]* "$temp/new/$2"..?*; do
    there "$entry" || continue
    old=./${entry##*/}
    name=$to/$2${entry##*/}
    if [ -d "$entry" ] && [ ! -L "$entry" ]; then
      if [ -L "$old" ]; then
        meets "$1" "$name is a symbolic link, and a directory in the archive"
      elif [ -d "$old" ]; then
        continue
      elif [ -e "$old" ]; then
        meets "$1" "$name is a file, and a directory in the archive"
      fi
    elif [ -d "$old" ] && [ ! -L "$old" ]; then
      meets "$1" "$name is a directory, and a file in the archive"
    fi
    if [ "$1" = yes ]; then
      rename "$entry" "$old" || exit 1
    fi
  done
  # what is left are directories that are there as well
  for entry in "$temp/new/$2"* "$temp/new/$2".[!.]* "$temp/new/$2"..?*; do
    if [ -d "$entry" ] && [ ! -L "$entry" ] && { [ "$1" = yes ] || [ -d "$to/$2${entry##*/}" ]; }; then
      merge "$1" "$2${entry##*/}/"
    fi
  done
}

[ -f "$archive" ] || fail "$archive: no such file"
[ -r "$archive" ] || fail "$archive: permission denied"
if [ -d "$to" ]; then
  to=$(cd -P "$to" && pwd -P) || exit 1
  # Beside it, away from all who work in it; in it where that is another file system, or not ours to write.
  beside=${to%/*}
  if [ -w "$beside/" ] && [ "$(mount_point "$beside/")" = "$(mount_point "$to")" ]; then
    make_temp "$beside"
  else
    make_temp "$to"
  fi
elif absent "$to"; then
  mkdir -p "${to%/*}/" || exit 1
  make_temp "${to%/*}"
else
  fail "$to is not a directory"
fi
mkdir "$temp/new" || exit 1
bound
tar=$temp/tar
format=$(format_of)
case $format in
  tar) tar=$archive ;;
  gzip | bzip2 | xz | zstd)
    need "$format"
    within "$most" "$format" -dc <"$archive" >"$tar" 2>"$temp/said" || {
      [ "$(wc -c <"$tar")" -lt "$most" ] || refuse "the archive holds $much"
      fail "$archive: $(why)"
    }
    ;;
  zip) ;;
  *) fail "$archive is neither a tar (.gz, .bz2, .xz, .zst) nor a zip" ;;
esac
if [ "$format" = zip ]; then
  unpack_zip
else
  need tar
  unpack_tar
  [ "$tar" = "$archive" ] || rm -f "$tar"
fi
cd -P "$temp/new" || exit 1
find . -type d ! -perm -700 -exec chmod u+rwx {} \; || exit 1
find . -type f \( -perm -4000 -o -perm -2000 \) -exec chmod ug-s {} + || exit 1
check_tree
cd / || exit 1
strip_tree
cd -P "$temp/new" || exit 1
check_links
cd / || exit 1
if [ -d "$to" ]; then
  merge no ''
  merge yes ''
  cd / || exit 1
else
  touch "$temp/new"
  rename "$temp/new" "$to" || exit 1
fi
exit 0
