package state

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/util/disk"
)

// Limit is how much all slots together may take. The zero value is BuildKit's own
// default: 80 percent of the disk, 100 GB at most, and less where else not 20
// percent of the disk would be free, but never less than 10 percent or 10 GB of
// it.
type Limit struct {
	Bytes   int64
	Percent float64 // of the disk; used if Bytes is 0
}

// units are of SI and of IEC 80000-13.
var units = map[string]float64{
	"": 1, "B": 1,
	"K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9, "T": 1e12, "TB": 1e12,
	"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
}

// ParseLimit reads a size, "20GB", "1.5GiB", or a part of the disk, "25%".
func ParseLimit(text string) (Limit, error) {
	number := strings.TrimRight(text, "%ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ")
	unit := strings.ToUpper(strings.TrimSpace(text[len(number):]))
	n, err := strconv.ParseFloat(number, 64)
	factor, known := units[unit]
	switch {
	case err == nil && unit == "%" && n > 0 && n <= 100:
		return Limit{Percent: n}, nil
	case err == nil && known && n*factor >= 1 && n*factor < 1<<62:
		return Limit{Bytes: int64(n * factor)}, nil
	}
	return Limit{}, fmt.Errorf("%q is no size: write it as 20GB, 1.5GiB or, as a part of the disk, 25%%", text)
}

// String is what ParseLimit reads; "" is the default.
func (l Limit) String() string {
	switch {
	case l.Bytes != 0:
		return strconv.FormatInt(l.Bytes, 10)
	case l.Percent != 0:
		return strconv.FormatFloat(l.Percent, 'f', -1, 64) + "%"
	}
	return ""
}

// of is the limit in bytes on a disk on which slots take used bytes.
func (l Limit) of(stat disk.DiskStat, used int64) int64 {
	switch {
	case l.Bytes != 0:
		return l.Bytes
	case l.Percent != 0:
		return int64(float64(stat.Total) * l.Percent / 100)
	}
	c := config.DetectDefaultGCCap(stat)
	keep := min(c.GCMaxUsedSpace.AsBytes(stat), used+stat.Available-c.GCMinFreeSpace.AsBytes(stat))
	return max(keep, c.GCReservedSpace.AsBytes(stat))
}

// bytes is the limit for slots below dir that take used bytes.
func (l Limit) bytes(dir string, used int64) (int64, error) {
	stat, err := disk.GetDiskStat(dir)
	if err != nil {
		return 0, err
	}
	return l.of(stat, used), nil
}

// Policy is what BuildKit collects by itself in a long run, in the slot that it
// uses: first what is made again most easily.
func (l Limit) Policy(dir string) []client.PruneInfo {
	stat, err := disk.GetDiskStat(dir)
	if err != nil {
		return nil
	}
	var cfg config.GCConfig
	if l != (Limit{}) {
		cfg.GCMaxUsedSpace.Bytes = l.of(stat, 0)
	}
	var out []client.PruneInfo
	for _, rule := range config.DefaultGCPolicy(cfg, stat) {
		out = append(out, client.PruneInfo{
			Filter: rule.Filters, All: rule.All, KeepDuration: rule.KeepDuration.Duration,
			ReservedSpace: rule.ReservedSpace.AsBytes(stat), MaxUsedSpace: rule.MaxUsedSpace.AsBytes(stat), MinFreeSpace: rule.MinFreeSpace.AsBytes(stat),
		})
	}
	return out
}
