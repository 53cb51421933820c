# Runs the modules that the file `modules` names, two at a time; each leaves its junit report, its output and its exit code.
# None begins after `budget` seconds.
mkdir -p out/junit out/said out/code
export BEGIN=$(date +%s) BUDGET=$(cat budget)
one() {
  [ $(($(date +%s) - BEGIN)) -lt $BUDGET ] || return 0 # no time left to begin another
  cd /tmp && mkdir -p $1.dir && cd $1.dir
  start=$(date +%s%N)
  timeout -k 10 $2 python3 -m test -v --junit-xml /work/out/junit/$1.xml $1 > /work/out/said/$1 2>&1
  code=$?
  echo $code > /work/out/code/$1
  echo "$1 $code $((($(date +%s%N) - start) / 1000000)) ms"
}
export -f one
xargs -P ${PARALLEL:-2} -L 1 bash -c 'one "$@"' one < modules
