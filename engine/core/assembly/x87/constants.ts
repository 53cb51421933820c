/**
 * Constants of the transcendental functions: fractions of 128 bits, high word first, rounded to nearest.
 * x87_constants.spec.ts derives every one of them again.
 *
 * @spec Series of sin, cos, exp, artanh and arctan; pi, ln 2 and log2 e
 */

/** pi / 4 */
export const QUARTER_PI_HIGH: u64 = 0xc90f_daa2_2168_c234;
export const QUARTER_PI_LOW: u64 = 0xc4c6_628b_80dc_1cd1;
/** ln 2 */
export const LN2_HIGH: u64 = 0xb172_17f7_d1cf_79ab;
export const LN2_LOW: u64 = 0xc9e3_b398_03f2_f6af;
/** (log2 e) / 2 */
export const HALF_LOG2E_HIGH: u64 = 0xb8aa_3b29_5c17_f0bb;
export const HALF_LOG2E_LOW: u64 = 0xbe87_fed0_691d_3e89;
/** pi as the hardware reduces with: 66 bits, in units of 2^-64 (SDM vol. 1, 8.3.8). */
export const PI66_HIGH: u64 = 3;
export const PI66_LOW: u64 = 0x243f_6a88_85a3_08d3;

/** 1 / (2k + 3)!: sin r = r (1 - r^2 (S0 - r^2 (S1 - ...))) */
export const SIN_COUNT: u32 = 17;
export const SIN: usize = memory.data<u64>([
  0x2aaa_aaaa_aaaa_aaaa, 0xaaaa_aaaa_aaaa_aaab,
  0x0222_2222_2222_2222, 0x2222_2222_2222_2222,
  0x000d_00d0_0d00_d00d, 0x00d0_0d00_d00d_00d0,
  0x0000_2e3b_c74a_ad8e, 0x671f_5583_911c_a003,
  0x0000_006b_9915_9fd5, 0x138e_3f9d_1f92_e0df,
  0x0000_0000_b092_309d, 0x4368_4be5_1c19_8e92,
  0x0000_0000_00d7_3f9f, 0x399d_c0f8_8ec3_2b58,
  0x0000_0000_0000_ca96, 0x3b81_856a_5359_3029,
  0x0000_0000_0000_0097, 0xa4da_340a_0ab9_2651,
  0x0000_0000_0000_0000, 0x5c6e_3bdb_73d5_c630,
  0x0000_0000_0000_0000, 0x002e_c368_262c_7034,
  0x0000_0000_0000_0000, 0x0000_13f3_ccdd_1660,
  0x0000_0000_0000_0000, 0x0000_0007_46ac_70b7,
  0x0000_0000_0000_0000, 0x0000_0000_024b_3f31,
  0x0000_0000_0000_0000, 0x0000_0000_0000_a1a7,
  0x0000_0000_0000_0000, 0x0000_0000_0000_0027,
  0x0000_0000_0000_0000, 0x0000_0000_0000_0000,
]);
/** 1 / (2k + 2)!: cos r = 1 - r^2 (C0 - r^2 (C1 - ...)) */
export const COS_COUNT: u32 = 17;
export const COS: usize = memory.data<u64>([
  0x8000_0000_0000_0000, 0x0000_0000_0000_0000,
  0x0aaa_aaaa_aaaa_aaaa, 0xaaaa_aaaa_aaaa_aaab,
  0x005b_05b0_5b05_b05b, 0x05b0_5b05_b05b_05b0,
  0x0001_a01a_01a0_1a01, 0xa01a_01a0_1a01_a01a,
  0x0000_049f_93ed_de27, 0xd71c_bbc0_5b4f_a99a,
  0x0000_0008_f76c_77fc, 0x6c4b_daa2_6d4c_3d68,
  0x0000_0000_0c9c_ba54, 0x603e_4e90_5d6f_8a2f,
  0x0000_0000_000d_73f9, 0xf399_dc0f_88ec_32b6,
  0x0000_0000_0000_0b41, 0x3c31_dcbe_cbbd_d802,
  0x0000_0000_0000_0007, 0x950a_e900_8089_41ea,
  0x0000_0000_0000_0000, 0x0433_8e5b_6dfe_14a5,
  0x0000_0000_0000_0000, 0x0001_f2cf_0197_2f57,
  0x0000_0000_0000_0000, 0x0000_00c4_742f_e352,
  0x0000_0000_0000_0000, 0x0000_0000_4286_2899,
  0x0000_0000_0000_0000, 0x0000_0000_0013_932c,
  0x0000_0000_0000_0000, 0x0000_0000_0000_050d,
  0x0000_0000_0000_0000, 0x0000_0000_0000_0001,
]);
/** 1 / (k + 2)!: e^w - 1 = w (1 + w (E0 + w (E1 + ...))) */
export const EXP_COUNT: u32 = 32;
export const EXP: usize = memory.data<u64>([
  0x8000_0000_0000_0000, 0x0000_0000_0000_0000,
  0x2aaa_aaaa_aaaa_aaaa, 0xaaaa_aaaa_aaaa_aaab,
  0x0aaa_aaaa_aaaa_aaaa, 0xaaaa_aaaa_aaaa_aaab,
  0x0222_2222_2222_2222, 0x2222_2222_2222_2222,
  0x005b_05b0_5b05_b05b, 0x05b0_5b05_b05b_05b0,
  0x000d_00d0_0d00_d00d, 0x00d0_0d00_d00d_00d0,
  0x0001_a01a_01a0_1a01, 0xa01a_01a0_1a01_a01a,
  0x0000_2e3b_c74a_ad8e, 0x671f_5583_911c_a003,
  0x0000_049f_93ed_de27, 0xd71c_bbc0_5b4f_a99a,
  0x0000_006b_9915_9fd5, 0x138e_3f9d_1f92_e0df,
  0x0000_0008_f76c_77fc, 0x6c4b_daa2_6d4c_3d68,
  0x0000_0000_b092_309d, 0x4368_4be5_1c19_8e92,
  0x0000_0000_0c9c_ba54, 0x603e_4e90_5d6f_8a2f,
  0x0000_0000_00d7_3f9f, 0x399d_c0f8_8ec3_2b58,
  0x0000_0000_000d_73f9, 0xf399_dc0f_88ec_32b6,
  0x0000_0000_0000_ca96, 0x3b81_856a_5359_3029,
  0x0000_0000_0000_0b41, 0x3c31_dcbe_cbbd_d802,
  0x0000_0000_0000_0097, 0xa4da_340a_0ab9_2651,
  0x0000_0000_0000_0007, 0x950a_e900_8089_41ea,
  0x0000_0000_0000_0000, 0x5c6e_3bdb_73d5_c630,
  0x0000_0000_0000_0000, 0x0433_8e5b_6dfe_14a5,
  0x0000_0000_0000_0000, 0x002e_c368_262c_7034,
  0x0000_0000_0000_0000, 0x0001_f2cf_0197_2f57,
  0x0000_0000_0000_0000, 0x0000_13f3_ccdd_1660,
  0x0000_0000_0000_0000, 0x0000_00c4_742f_e352,
  0x0000_0000_0000_0000, 0x0000_0007_46ac_70b7,
  0x0000_0000_0000_0000, 0x0000_0000_4286_2899,
  0x0000_0000_0000_0000, 0x0000_0000_024b_3f31,
  0x0000_0000_0000_0000, 0x0000_0000_0013_932c,
  0x0000_0000_0000_0000, 0x0000_0000_0000_a1a7,
  0x0000_0000_0000_0000, 0x0000_0000_0000_050d,
  0x0000_0000_0000_0000, 0x0000_0000_0000_0027,
]);
/** 1 / (2k + 3): artanh z = z (1 + z^2 (O0 + z^2 (O1 + ...))), arctan likewise with alternating signs */
export const ODD_COUNT: u32 = 26;
export const ODD: usize = memory.data<u64>([
  0x5555_5555_5555_5555, 0x5555_5555_5555_5555,
  0x3333_3333_3333_3333, 0x3333_3333_3333_3333,
  0x2492_4924_9249_2492, 0x4924_9249_2492_4925,
  0x1c71_c71c_71c7_1c71, 0xc71c_71c7_1c71_c71c,
  0x1745_d174_5d17_45d1, 0x745d_1745_d174_5d17,
  0x13b1_3b13_b13b_13b1, 0x3b13_b13b_13b1_3b14,
  0x1111_1111_1111_1111, 0x1111_1111_1111_1111,
  0x0f0f_0f0f_0f0f_0f0f, 0x0f0f_0f0f_0f0f_0f0f,
  0x0d79_435e_50d7_9435, 0xe50d_7943_5e50_d794,
  0x0c30_c30c_30c3_0c30, 0xc30c_30c3_0c30_c30c,
  0x0b21_642c_8590_b216, 0x42c8_590b_2164_2c86,
  0x0a3d_70a3_d70a_3d70, 0xa3d7_0a3d_70a3_d70a,
  0x097b_425e_d097_b425, 0xed09_7b42_5ed0_97b4,
  0x08d3_dcb0_8d3d_cb08, 0xd3dc_b08d_3dcb_08d4,
  0x0842_1084_2108_4210, 0x8421_0842_1084_2108,
  0x07c1_f07c_1f07_c1f0, 0x7c1f_07c1_f07c_1f08,
  0x0750_7507_5075_0750, 0x7507_5075_0750_7507,
  0x06eb_3e45_306e_b3e4, 0x5306_eb3e_4530_6eb4,
  0x0690_6906_9069_0690, 0x6906_9069_0690_6907,
  0x063e_7063_e706_3e70, 0x63e7_063e_7063_e706,
  0x05f4_17d0_5f41_7d05, 0xf417_d05f_417d_05f4,
  0x05b0_5b05_b05b_05b0, 0x5b05_b05b_05b0_5b06,
  0x0572_620a_e4c4_15c9, 0x882b_9310_5726_20ae,
  0x0539_7829_cbc1_4e5e, 0x0a72_f053_9782_9cbc,
  0x0505_0505_0505_0505, 0x0505_0505_0505_0505,
  0x04d4_873e_cade_304d, 0x4873_ecad_e304_d487,
]);
/** arctan(k / 32) */
export const ATAN_COUNT: u32 = 33;
export const ATAN: usize = memory.data<u64>([
  0x0000_0000_0000_0000, 0x0000_0000_0000_0000,
  0x07ff_556e_ea5d_892a, 0x13bc_ebbb_6ed4_6311,
  0x0ffa_addb_967e_f4e3, 0x6cb2_792d_c0e2_e0d5,
  0x17ee_1826_02f1_0e8c, 0x126a_cfcf_099f_06cf,
  0x1fd5_ba9a_ac2f_6dc6, 0x5912_f313_e7d1_11df,
  0x27ad_ddd1_8cc4_d8b0, 0xd1d8_6749_40d8_3fa1,
  0x2f72_f697_9cb6_044d, 0x1ec2_d3e2_0727_1d22,
  0x3721_aea5_24c1_4408, 0xbd88_6970_72d5_4bc1,
  0x3eb6_ebf2_5901_bac5, 0x5b71_e7bd_7de8_85f9,
  0x462f_d68c_2fc5_e098, 0x6523_a458_dfc4_14c7,
  0x4d89_dcdc_1faf_2f34, 0xe2d5_da4c_693d_7994,
  0x54c2_b665_4735_276d, 0x4cdb_fbbd_fbec_f461,
  0x5bd8_6507_937b_c239, 0xc551_9091_6e7f_2242,
  0x62c9_34e5_286c_95b6, 0xd0ba_3748_fa85_146f,
  0x6993_bb0f_308f_f2db, 0x213e_4af4_800f_389b,
  0x7036_d325_3b27_be33, 0xe318_f6cb_3cc6_5c02,
  0x76b1_9c15_86ed_3da2, 0xb7f2_22f6_5e1d_4682,
  0x7d03_742d_5050_5f2e, 0x3369_1e3e_aee4_7661,
  0x832b_f4a6_d986_7e2a, 0x4b6a_09cb_61a5_15c1,
  0x892a_ecdf_de95_47b5, 0x0944_78fc_472b_4afc,
  0x8f00_5d5e_f7f5_9f9b, 0x5c83_5e16_65c4_3748,
  0x94ac_72c9_8471_86f6, 0x18c4_f393_f78a_32f9,
  0x9a2f_80e6_71bd_da20, 0x4226_f8e2_204f_f3bd,
  0x9f89_fdc4_f4b7_a1ec, 0xf8b4_9264_4f07_01e0,
  0xa4bc_7d19_34f7_0924, 0x19a8_7f2a_457d_ac9f,
  0xa9c7_abdc_4830_f5c8, 0x916a_84b5_be79_33f6,
  0xaeac_4c38_b4d8_c080, 0x1472_5e2f_3e52_070a,
  0xb36b_31c9_1f04_3691, 0x5901_4174_4462_f93a,
  0xb805_3e2b_c231_9e73, 0xcb2d_a552_10a4_443d,
  0xbc7b_5dea_e98a_f280, 0xd411_3006_e80f_b290,
  0xc0ce_85b8_ac52_6640, 0x89dd_62c4_6e92_fa25,
  0xc4ff_affa_bf8f_bd54, 0x8cb4_3d10_bc9e_0221,
  0xc90f_daa2_2168_c234, 0xc4c6_628b_80dc_1cd1,
]);
